"""relative: how far a key stands from a query, added to their score."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class T5Bias(nn.Module):
    """A learned score for each head and bucket of distance: x_BTD -> bias_HTS.

    Half of the buckets hold one distance each; the others widen up to `max_distance`.
    Source: Raffel et al. 2020, section 2.1.
    """

    def __init__(self, heads: int, buckets: int = 32, max_distance: int = 128, causal: bool = False) -> None:
        super().__init__()
        self.buckets = buckets
        self.max_distance = max_distance
        self.causal = causal
        self.weight = nn.Parameter(torch.zeros(buckets, heads))

    def forward(self, x_BTD: Tensor, start: int = 0, mask: Tensor | None = None) -> Tensor:
        key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
        bucket_TS = self.bucket(key_S - key_S[start:].unsqueeze(1))
        bias_HTS = F.embedding(bucket_TS, self.weight).permute(2, 0, 1)
        if mask is not None:
            # Where the mask is false nothing may be read.
            bias_HTS = bias_HTS.masked_fill(~mask, -math.inf)
        return bias_HTS

    def bucket(self, distance_TS: Tensor) -> Tensor:
        """Return the bucket of each distance (key minus query)."""
        if self.causal:
            buckets = self.buckets
            first_TS = torch.zeros_like(distance_TS)
            distance_TS = -distance_TS.clamp(max=0)
        else:
            buckets = self.buckets // 2
            first_TS = torch.where(distance_TS > 0, buckets, 0)
            distance_TS = distance_TS.abs()
        exact = buckets // 2
        growth_TS = torch.log(distance_TS.clamp(min=1) / exact)
        growth_TS = growth_TS / math.log(self.max_distance / exact) * (buckets - exact)
        far_TS = (exact + growth_TS.long()).clamp(max=buckets - 1)
        return first_TS + torch.where(distance_TS < exact, distance_TS, far_TS)


class T5Scores(nn.Module):
    """`T5Bias` of one attention's own: q_BHTK, k_BHSK -> bias_HTS. The queries are the last of the keys' positions."""

    def __init__(self, heads: int, buckets: int = 32, max_distance: int = 128, causal: bool = False) -> None:
        super().__init__()
        self.table = T5Bias(heads, buckets, max_distance, causal=causal)

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.table(q_BHTK[:, 0], k_BHSK.size(2) - q_BHTK.size(2), mask)
