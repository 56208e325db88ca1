"""shaw: attention that compares queries with distances, and reads vectors of distances beside values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.distance import distances, pick


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
        head_dim: int | None = None,
        bias: str = "",
        out_bias: bool = False,
        dropout: float = 0.0,
        both: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = width // heads if head_dim is None else head_dim
        self.behind = behind
        self.ahead = ahead
        self.scale = scale
        self.bias = bias
        self.dropout = dropout
        self.both = both
        size = heads * self.head_dim
        self.qkv = nn.Linear(width, 3 * size, bias=bias == "qkv")
        if "q" in bias and bias != "qkv":
            self.q_bias = nn.Parameter(torch.zeros(size))
        if "k" in bias and bias != "qkv":
            self.k_bias = nn.Parameter(torch.zeros(size))
        if "v" in bias and bias != "qkv":
            self.v_bias = nn.Parameter(torch.zeros(size))
        self.key_rows = nn.Parameter(torch.zeros(behind + ahead + 1, self.head_dim))
        self.value_rows = nn.Parameter(torch.zeros(behind + ahead + 1, self.head_dim))
        self.out = nn.Linear(size, width, bias=out_bias)

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        q_BTF, k_BTF, v_BTF = self.qkv(x_BTD).chunk(3, dim=-1)
        if "q" in self.bias and self.bias != "qkv":
            q_BTF = q_BTF + self.q_bias
        if "k" in self.bias and self.bias != "qkv":
            k_BTF = k_BTF + self.k_bias
        if "v" in self.bias and self.bias != "qkv":
            v_BTF = v_BTF + self.v_bias
        q_BHTK, k_BHTK, v_BHTK = self.apart(q_BTF * self.scale), self.apart(k_BTF), self.apart(v_BTF)
        if cache is not None:
            k_BHTK, v_BHTK = cache.extend(k_BHTK, 2), cache.extend(v_BHTK, 2)
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

    def apart(self, x_BTF: Tensor) -> Tensor:
        """Return features as heads: (B, T, F) -> (B, H, T, K)."""
        return x_BTF.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
