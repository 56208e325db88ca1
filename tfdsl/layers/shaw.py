"""shaw: attention that compares queries with distances, and reads vectors of distances beside values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.distance import distances, pick
from tfdsl.layers.entering import Entering
from tfdsl.layers.holding import Holding


class ShawAttention(nn.Module):
    """Self-attention with learned vectors for distances, for keys and for values: x_BTD -> x_BTD.

    Source: Shaw et al. 2018, equations 3 to 5.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        behind: int,
        ahead: int,
        scale: float,
        enter: Entering,
        hold: Holding,
        head_dim: int | None = None,
        out_bias: bool = False,
        dropout: float = 0.0,
        both: bool = False,
    ) -> None:
        super().__init__()
        self.head_dim = width // heads if head_dim is None else head_dim
        self.behind = behind
        self.ahead = ahead
        self.scale = scale
        self.dropout = dropout
        self.both = both
        self.enter = enter
        self.hold = hold
        self.key_rows = nn.Parameter(torch.zeros(behind + ahead + 1, self.head_dim))
        self.value_rows = nn.Parameter(torch.zeros(behind + ahead + 1, self.head_dim))
        self.out = nn.Linear(heads * self.head_dim, width, bias=out_bias)

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        B, T = x_BTD.shape[:2]
        parts = self.enter(x_BTD, B, T)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        q_BHTK = q_BHTK * self.scale
        if cache is not None:
            k_BHTK, v_BHTK = self.hold(k_BHTK, v_BHTK, cache)
        row_TS = distances(q_BHTK, k_BHTK).clamp(-self.behind, self.ahead) + self.behind
        score_BHTS = q_BHTK @ k_BHTK.transpose(2, 3) + pick(q_BHTK @ self.key_rows.t(), row_TS)
        if self.both:
            back_BHST = pick(k_BHTK @ self.key_rows.t(), row_TS.t())
            score_BHTS = score_BHTS + back_BHST.transpose(2, 3) * self.scale
        if mask is not None:
            # A query that may read nothing reads zeros.
            score_BHTS = score_BHTS.masked_fill(~mask, torch.finfo(score_BHTS.dtype).min)
            weight_BHTS = score_BHTS.softmax(dim=-1).masked_fill(~mask, 0)
        else:
            weight_BHTS = score_BHTS.softmax(dim=-1)
        if self.dropout > 0:
            weight_BHTS = F.dropout(weight_BHTS, self.dropout, self.training)
        # The weights of keys at one distance read its vector together.
        share_BHTR = weight_BHTS.new_zeros(*weight_BHTS.shape[:3], self.key_rows.size(0))
        share_BHTR = share_BHTR.scatter_add(-1, row_TS.expand_as(weight_BHTS), weight_BHTS)
        y_BHTK = weight_BHTS @ v_BHTK + share_BHTR @ self.value_rows
        return self.out(y_BHTK.transpose(1, 2).flatten(2))
