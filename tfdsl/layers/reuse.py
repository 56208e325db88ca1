"""reuse: attention that reads keys and values which other attention made."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.entering import Asking
from tfdsl.layers.rotary import rotate
from tfdsl.layers.weighing import Leaving, Weighing


class ReusingAttention(nn.Module):
    """Attention with queries of its own, and keys and values that were made before: x_BTD -> x_BTD.

    Source: Brandon et al. 2024, "Cross-layer attention"; Sun et al. 2024, YOCO.
    """

    def __init__(
        self,
        ask: Asking,
        weigh: Weighing,
        leave: Leaving,
        style: str = "half",
        rotated: int | None = None,
        end: bool = False,
        temperature: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.style = style
        self.rotated = rotated
        self.end = end
        self.ask = ask
        self.temperature = temperature
        self.weigh = weigh
        self.leave = leave

    def forward(
        self,
        x_BTD: Tensor,
        kept: tuple[Tensor, Tensor],
        rope: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        q_BHTK = self.ask(x_BTD)
        k_BHSK, v_BHSK = kept
        if rope is not None:
            q_BHTK = rotate(q_BHTK, rope, self.style, self.rotated, self.end)
        if self.ask.q_norm is not None and self.ask.norm_late:
            q_BHTK = self.ask.q_norm(q_BHTK)
        if self.temperature is not None:
            q_BHTK = self.temperature(q_BHTK, k_BHSK.size(2) - q_BHTK.size(2), place_BT=place_BT)
        y_BHTK = self.weigh(q_BHTK, k_BHSK, v_BHSK, mask, cache, x_BTD, x_BTD.size(1))
        y_BTD = self.leave(y_BHTK, x_BTD)
        return y_BTD


class ValueResidual(nn.Module):
    """Values added to those that other attention kept: own · v + kept · v', at the places of v.

    Source: Zhou et al. 2024, "Value residual learning".
    """

    def __init__(self, own: float, kept: float, learned: bool = False) -> None:
        super().__init__()
        if learned:
            self.own = nn.Parameter(torch.full((1,), own))
            self.kept = nn.Parameter(torch.full((1,), kept))
        else:
            self.own = own
            self.kept = kept

    def forward(self, v_BHTK: Tensor, first: tuple[Tensor, Tensor]) -> Tensor:
        return self.own * v_BHTK + self.kept * first[1][:, :, -v_BHTK.size(2) :]
