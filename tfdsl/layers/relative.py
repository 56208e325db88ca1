"""relative: how far a key stands from a query, added to their score."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class T5Bias(nn.Module):
    """A learned score for each head and bucket of distance: x_BTD -> bias_1HTS.

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
        bias_1HTS = F.embedding(bucket_TS, self.weight).permute(2, 0, 1).unsqueeze(0)
        if mask is not None:
            # Where the mask is false nothing may be read.
            bias_1HTS = bias_1HTS.masked_fill(~mask, -math.inf)
        return bias_1HTS

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


class Alibi(nn.Module):
    """A penalty for distance, steeper for each head: x_BTD -> bias_1HTS.

    Source: Press et al. 2022, section 3; for other numbers of heads than powers of two their released code.
    """

    def __init__(self, heads: int, steepest: float = 8.0, scale: float | None = None) -> None:
        super().__init__()
        self.scale = scale
        count = 2 ** math.ceil(math.log2(heads))
        self.slopes = [2 ** (-steepest * (head + 1) / count) for head in range(count)]
        if count != heads:
            # Every second slope first, then those between.
            self.slopes = (self.slopes[1::2] + self.slopes[::2])[:heads]

    def forward(self, x_BTD: Tensor, start: int = 0, mask: Tensor | None = None) -> Tensor:
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        key_S = torch.arange(start + x_BTD.size(1), dtype=exact, device=x_BTD.device)
        far_TS = (key_S - key_S[start:].unsqueeze(1)).abs()
        slope_H = torch.tensor(self.slopes, dtype=exact, device=x_BTD.device)
        bias_1HTS = (-slope_H.view(1, -1, 1, 1) * far_TS).to(x_BTD.dtype)
        if self.scale is not None:
            # It is scaled as the products are.
            bias_1HTS = bias_1HTS * self.scale
        if mask is not None:
            # Where the mask is false nothing may be read.
            bias_1HTS = bias_1HTS.masked_fill(~mask, -math.inf)
        return bias_1HTS


class Kerple(nn.Module):
    """A learned penalty for distance, for each head: x_BTD -> bias_1HTS (Chi et al. 2022, section 4.1)."""

    def __init__(self, heads: int, form: str = "log") -> None:
        super().__init__()
        self.form = form
        self.strength = nn.Parameter(torch.ones(heads))
        self.growth = nn.Parameter(torch.ones(heads))

    def forward(self, x_BTD: Tensor, start: int = 0, mask: Tensor | None = None) -> Tensor:
        key_S = torch.arange(start + x_BTD.size(1), dtype=self.growth.dtype, device=x_BTD.device)
        far_TS = (key_S - key_S[start:].unsqueeze(1)).abs()
        strength_1H11 = self.strength.clamp(min=0.01).view(1, -1, 1, 1)
        growth_1H11 = self.growth.clamp(min=0.01).view(1, -1, 1, 1)
        if self.form == "log":
            bias_1HTS = -strength_1H11 * torch.log(1 + growth_1H11 * far_TS)
        else:
            bias_1HTS = -strength_1H11 * far_TS ** growth_1H11.clamp(max=2)
        bias_1HTS = bias_1HTS.to(x_BTD.dtype)
        if mask is not None:
            # Where the mask is false nothing may be read.
            bias_1HTS = bias_1HTS.masked_fill(~mask, -math.inf)
        return bias_1HTS


class GridBias(nn.Module):
    """A learned score for each head and each way from one square of a grid to another: x_BTD -> bias_1HTT.

    With one position more than squares, the first is a class token, with scores of its own to, from and at it.
    Source: Liu et al. 2021, equation 4; Bao et al. 2022.
    """

    def __init__(self, heads: int, height: int, width: int, first: bool = False) -> None:
        super().__init__()
        self.height = height
        self.width = width
        self.first = first
        ways = (2 * height - 1) * (2 * width - 1)
        if first:
            self.weight = nn.Parameter(torch.zeros(ways + 3, heads))
        else:
            self.weight = nn.Parameter(torch.zeros(ways, heads))

    def forward(self, x_BTD: Tensor, start: int = 0, mask: Tensor | None = None) -> Tensor:
        place_N = torch.arange(self.height * self.width, device=x_BTD.device)
        row_N, column_N = place_N // self.width, place_N % self.width
        down_NN = row_N.unsqueeze(1) - row_N + self.height - 1
        right_NN = column_N.unsqueeze(1) - column_N + self.width - 1
        way_TS = down_NN * (2 * self.width - 1) + right_NN
        if self.first:
            ways = self.weight.size(0) - 3
            way_TS = F.pad(way_TS, (0, 0, 1, 0), value=ways)
            way_TS = F.pad(way_TS, (1, 0), value=ways + 1)
            way_TS[0, 0] = ways + 2
        bias_1HTS = F.embedding(way_TS, self.weight).permute(2, 0, 1).unsqueeze(0)
        if mask is not None:
            # Where the mask is false nothing may be read.
            bias_1HTS = bias_1HTS.masked_fill(~mask, -math.inf)
        return bias_1HTS


class OwnScores(nn.Module):
    """A table of scores that one attention has of its own: q_BHTK, k_BHSK -> bias_1HTS.

    The queries are the last of the keys' positions.
    """

    def __init__(self, table: nn.Module) -> None:
        super().__init__()
        self.table = table

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.table(q_BHTK[:, 0], k_BHSK.size(2) - q_BHTK.size(2), mask)
