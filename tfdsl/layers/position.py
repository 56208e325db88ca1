"""position: where a token stands: added to it, turned into its queries and keys, or added to its scores."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LearnedPosition(nn.Module):
    """Adds a learned row to each position: x_BTD -> x_BTD (Gehring et al. 2017)."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(self, x_BTD: Tensor, start: int = 0) -> Tensor:
        return x_BTD + self.weight[start : start + x_BTD.size(1)]


class SinusoidalPosition(nn.Module):
    """Adds sines and cosines of each position to its features: x_BTD -> x_BTD.

    Source: Vaswani et al. 2017, section 3.5.
    """

    def __init__(self, width: int, theta: float = 10000.0, style: str = "interleaved") -> None:
        super().__init__()
        self.width = width
        self.theta = theta
        self.style = style

    def forward(self, x_BTD: Tensor, start: int = 0) -> Tensor:
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        position_T = torch.arange(start, start + x_BTD.size(1), dtype=exact, device=x_BTD.device)
        pair_P = torch.arange(0, self.width, 2, dtype=exact, device=x_BTD.device)
        angle_TP = torch.outer(position_T, self.theta ** (-pair_P / self.width))
        if self.style == "interleaved":
            table_TD = torch.stack((angle_TP.sin(), angle_TP.cos()), dim=-1).flatten(1)
        else:
            table_TD = torch.cat((angle_TP.sin(), angle_TP.cos()), dim=-1)
        return x_BTD + table_TD.to(x_BTD.dtype)


class Rotary(nn.Module):
    """The angles that turn queries and keys: tables of their cosines and signed sines.

    The features of pair i turn by position * theta^(-2i / size).
    Source: Su et al. 2021, equations 15 and 34.
    """

    def __init__(self, size: int, theta: float = 10000.0, style: str = "half") -> None:
        super().__init__()
        self.size = size
        self.theta = theta
        self.style = style

    def forward(self, x_BTD: Tensor, start: int = 0) -> tuple[Tensor, Tensor]:
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        position_T = torch.arange(start, start + x_BTD.size(1), dtype=exact, device=x_BTD.device)
        pair_P = torch.arange(0, self.size, 2, dtype=exact, device=x_BTD.device)
        angle_TP = torch.outer(position_T, self.theta ** (-pair_P / self.size))
        cos_TP, sin_TP = angle_TP.cos(), angle_TP.sin()
        if self.style == "half":
            cos_TK = torch.cat((cos_TP, cos_TP), dim=-1)
            sin_TK = torch.cat((-sin_TP, sin_TP), dim=-1)
        else:
            cos_TK = torch.stack((cos_TP, cos_TP), dim=-1).flatten(1)
            sin_TK = torch.stack((-sin_TP, sin_TP), dim=-1).flatten(1)
        return cos_TK.to(x_BTD.dtype), sin_TK.to(x_BTD.dtype)


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


class Prepend(nn.Module):
    """Puts learned positions before the first: x_BTD -> x_BUD, U = tokens + T.

    Source: Dosovitskiy et al. 2021, equation 1.
    """

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x_BTD: Tensor, start: int = 0) -> Tensor:
        if start > 0:
            return x_BTD
        first_BUD = self.weight.expand(x_BTD.size(0), -1, -1)
        return torch.cat((first_BUD, x_BTD), dim=1)
