"""attention: every position reads from those of its own sequence that it may see."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.entering import Entering, Sizing
from tfdsl.layers.holding import Holding
from tfdsl.layers.rotary import rotate
from tfdsl.layers.weighing import Leaving, Weighing


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

    def __init__(
        self,
        enter: Entering,
        fit: Sizing,
        hold: Holding,
        weigh: Weighing,
        leave: Leaving,
        style: str = "half",
        rotated: int | None = None,
        end: bool = False,
        temperature: nn.Module | None = None,
        residual: nn.Module | None = None,
        keeps: bool = False,
        blocks: nn.Module | None = None,
        first: nn.Module | None = None,
        method: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.enter = enter
        self.style = style
        self.rotated = rotated
        self.end = end
        self.keeps = keeps
        self.fit = fit
        self.hold = hold
        self.residual = residual
        self.blocks = blocks
        self.first = first
        self.method = method
        self.temperature = temperature
        self.weigh = weigh
        self.leave = leave

    def forward(
        self,
        x_BTD: Tensor,
        rope: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        earlier: tuple[Tensor, Tensor] | None = None,
        cache: Cache | None = None,
        rank: Tensor | None = None,
        place_BT: Tensor | None = None,
    ) -> Any:
        B, T = x_BTD.shape[:2]
        parts = self.enter(x_BTD, B, T)
        if self.fit.q_norm is not None or self.fit.v_norm is not None or self.fit.clip is not None:
            parts = self.fit(parts)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        if rope is not None:
            q_BHTK = rotate(q_BHTK, rope, self.style, self.rotated, self.end)
            k_BHTK = rotate(k_BHTK, rope, self.style, self.rotated, self.end)
        if self.fit.q_norm is not None and self.fit.k_norm is not None and self.fit.norm_late:
            q_BHTK, k_BHTK = self.fit.q_norm(q_BHTK), self.fit.k_norm(k_BHTK)
        if self.temperature is not None:
            q_BHTK = self.temperature(q_BHTK, 0 if cache is None else cache.position, place_BT=place_BT)
        v_BHTK = v_BHTK if self.residual is None else self.residual(v_BHTK, earlier)
        if self.method is not None:
            y_BHTK = self.method(q_BHTK, k_BHTK, v_BHTK, mask=mask, rank=rank, cache=cache, place_BT=place_BT)
        else:
            if cache is not None:
                k_BHTK, v_BHTK = self.hold(k_BHTK, v_BHTK, cache)
            kept = (k_BHTK, v_BHTK)
            if self.blocks is not None and mask is not None and mask.size(-2) < T:
                # The mask of a long sequence tells padding alone; what else is hidden, the blocks leave out.
                y_BHTK = self.blocks(q_BHTK, k_BHTK, v_BHTK, mask)
            else:
                y_BHTK = self.weigh(q_BHTK, k_BHTK, v_BHTK, mask, cache, x_BTD, T)
        if self.first is not None:
            first_BHGK = self.first(x_BTD, mask)
            y_BHTK = torch.cat((first_BHGK, y_BHTK[:, :, first_BHGK.size(2) :]), dim=2)
        y_BTD = self.leave(y_BHTK, x_BTD)
        return (y_BTD, kept) if self.keeps else y_BTD  # pyright: ignore[reportPossiblyUnboundVariable]
