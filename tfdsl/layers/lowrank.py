"""lowrank: attention to a fixed number of sums of keys, in place of the keys."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache


class LowRank(nn.Module):
    """softmax(q (E k)ᵀ · scale) (F v), in O(T · rank): q_BHTK, k_BGTK, v_BGTV -> y_BHTV.

    E and F have a row for each of the sums and a column for each position. `mask` says which positions are real; `rank`
    is E, and F too, where all of the model share it. Source: Wang et al. 2020, equation 7.
    """

    def __init__(
        self,
        rank: int,
        length: int,
        share: str = "heads",
        heads: int = 1,
        dropout: float = 0.0,
        scale: float | None = None,
        grouped: bool = False,
    ) -> None:
        super().__init__()
        self.share = share
        self.dropout = dropout
        self.scale = scale
        self.grouped = grouped
        if share == "none":
            self.keys = nn.Parameter(torch.zeros(heads, rank, length))
            self.values = nn.Parameter(torch.zeros(heads, rank, length))
        elif share == "heads":
            self.keys = nn.Parameter(torch.zeros(rank, length))
            self.values = nn.Parameter(torch.zeros(rank, length))
        elif share == "keys_values":
            self.keys = nn.Parameter(torch.zeros(rank, length))

    def forward(
        self,
        q_BHTK: Tensor,
        k_BHTK: Tensor,
        v_BHTV: Tensor,
        mask: Tensor | None = None,
        rank: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        if mask is not None:
            keep_BHTK = mask.transpose(2, 3)
            k_BHTK, v_BHTV = k_BHTK * keep_BHTK, v_BHTV * keep_BHTK
        if self.share == "layers" and rank is not None:
            k_BHRK, v_BHRV = rank @ k_BHTK, rank @ v_BHTV
        elif self.share == "keys_values":
            k_BHRK, v_BHRV = self.keys[:, : q_BHTK.size(2)] @ k_BHTK, self.keys[:, : q_BHTK.size(2)] @ v_BHTV
        else:
            k_BHRK, v_BHRV = self.keys[..., : q_BHTK.size(2)] @ k_BHTK, self.values[..., : q_BHTK.size(2)] @ v_BHTV
        return F.scaled_dot_product_attention(
            q_BHTK,
            k_BHRK,
            v_BHRV,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
            enable_gqa=self.grouped,
        )


class Sums(nn.Module):
    """The weights by which all attention of the model sums keys and values over positions: x_BTD -> w_RT."""

    def __init__(self, rank: int, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rank, length))

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.weight[:, : x_BTD.size(1)]
