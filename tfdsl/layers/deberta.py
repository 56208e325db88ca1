"""deberta: attention whose scores tell what stands somewhere from where it stands."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.distance import distances, pick
from tfdsl.layers.entering import Entering
from tfdsl.layers.holding import Holding


class DistanceTable(nn.Module):
    """A learned row for each distance, which all layers read: (R, D)."""

    def __init__(self, rows: int, width: int, eps: float | None = None) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(rows, width))
        if eps is not None:
            self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x_BTD: Tensor, start: int = 0) -> Tensor:
        return self.weight if self.eps is None else self.norm(self.weight)


class DisentangledAttention(nn.Module):
    """Self-attention with scores of contents, and of contents with distances: x_BTD, table_RD -> x_BTD.

    Source: He et al. 2021, section 3.1, equation 4; the buckets and the shared projections of their later code.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        scale: float,
        span: int,
        enter: Entering,
        hold: Holding,
        head_dim: int | None = None,
        out_bias: bool = False,
        dropout: float = 0.0,
        farthest: int | None = None,
        terms: str = "both",
        own: bool = False,
        key_bias: bool = False,
        query_bias: bool = False,
    ) -> None:
        super().__init__()
        self.head_dim = width // heads if head_dim is None else head_dim
        self.scale = scale
        self.span = span
        self.dropout = dropout
        self.farthest = farthest
        self.terms = terms
        self.own = own
        self.enter = enter
        self.hold = hold
        size = heads * self.head_dim
        if own and terms != "position_to_content":
            self.place_key = nn.Linear(width, size, bias=key_bias)
        if own and terms != "content_to_position":
            self.place_query = nn.Linear(width, size, bias=query_bias)
        self.out = nn.Linear(size, width, bias=out_bias)

    def forward(
        self, x_BTD: Tensor, table_RD: Tensor, mask: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        B, T = x_BTD.shape[:2]
        parts = self.enter(x_BTD, B, T)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        if cache is not None:
            k_BHTK, v_BHTK = self.hold(k_BHTK, v_BHTK, cache)
        row_TS = self.rows(-distances(q_BHTK, k_BHTK))
        if self.terms == "both":
            place_q_HRK, place_k_HRK = self.place_queries(table_RD), self.place_keys(table_RD)
            score_BHTS = pick(q_BHTK @ place_k_HRK.transpose(1, 2), row_TS)
            back_BHST = pick(k_BHTK @ place_q_HRK.transpose(1, 2), row_TS.t())
            score_BHTS = (score_BHTS + back_BHST.transpose(2, 3)) * self.scale
        elif self.terms == "content_to_position":
            place_k_HRK = self.place_keys(table_RD)
            score_BHTS = pick(q_BHTK @ place_k_HRK.transpose(1, 2), row_TS) * self.scale
        else:
            place_q_HRK = self.place_queries(table_RD)
            back_BHST = pick(k_BHTK @ place_q_HRK.transpose(1, 2), row_TS.t())
            score_BHTS = back_BHST.transpose(2, 3) * self.scale
        if mask is not None:
            # Where the mask is false nothing may be read.
            score_BHTS = score_BHTS.masked_fill(~mask, -math.inf)
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=score_BHTS,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
        )
        return self.out(y_BHTK.transpose(1, 2).flatten(2))

    def place_queries(self, table_RD: Tensor) -> Tensor:
        """Return the queries of distances, made as those of contents are or by a matrix of their own."""
        return self.apart(self.place_query(table_RD) if self.own else self.made(table_RD, 0))

    def place_keys(self, table_RD: Tensor) -> Tensor:
        """Return the keys of distances, made as those of contents are or by a matrix of their own."""
        return self.apart(self.place_key(table_RD) if self.own else self.made(table_RD, 1))

    def made(self, table_RD: Tensor, part: int) -> Tensor:
        """Return the queries (part 0) or keys (part 1) that the projection of contents makes of distances."""
        weight_FD = self.enter.qkv.weight.unflatten(0, (3, -1))[part]
        if self.enter.bias == "qkv":
            return F.linear(table_RD, weight_FD, self.enter.qkv.bias.unflatten(0, (3, -1))[part])
        return F.linear(table_RD, weight_FD)

    def apart(self, x_RF: Tensor) -> Tensor:
        """Return features as heads: (R, F) -> (H, R, K)."""
        return x_RF.unflatten(-1, (-1, self.head_dim)).transpose(0, 1)

    def rows(self, far_TS: Tensor) -> Tensor:
        """Return the row of the table for each distance, query minus key."""
        if self.farthest is not None:
            # Half of the span has a row for each distance, the rest share rows that widen up to the farthest.
            middle = self.span // 2
            away_TS = far_TS.abs().clamp(min=middle)
            wide_TS = torch.log(away_TS / middle) / math.log((self.farthest - 1) / middle) * (middle - 1)
            wide_TS = (wide_TS.ceil().long() + middle) * far_TS.sign()
            far_TS = torch.where(far_TS.abs() <= middle, far_TS, wide_TS)
        return (far_TS + self.span).clamp(0, 2 * self.span - 1)
