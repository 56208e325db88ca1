"""distance: scores of queries and keys with learned or fixed vectors for how far apart they stand."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def distances(q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
    """Return a (T, S) table of key minus query. The queries are the last of the keys' positions."""
    key_S = torch.arange(k_BHSK.size(2), device=k_BHSK.device)
    return key_S - key_S[k_BHSK.size(2) - q_BHTK.size(2) :].unsqueeze(1)


def pick(score_BHTR: Tensor, row_TS: Tensor) -> Tensor:
    """Return of each query's scores that of the row that stands for its distance to each key."""
    return score_BHTR.gather(-1, row_TS.expand(*score_BHTR.shape[:2], -1, -1))


class ShawScores(nn.Module):
    """Scores of queries with a learned vector for each distance: q_BHTK, k_BHSK -> score_BHTS.

    Distances beyond `behind` and `ahead` share the last vectors.
    Source: Shaw et al. 2018, equations 4 and 5 (the part that looks at positions).
    """

    def __init__(self, size: int, behind: int, ahead: int, scale: float, both: bool = False) -> None:
        super().__init__()
        self.behind = behind
        self.ahead = ahead
        self.scale = scale
        self.both = both
        self.weight = nn.Parameter(torch.zeros(behind + ahead + 1, size))

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor, mask: Tensor | None = None) -> Tensor:
        row_TS = distances(q_BHTK, k_BHSK).clamp(-self.behind, self.ahead) + self.behind
        score_BHTS = pick(q_BHTK @ self.weight.t(), row_TS)
        if self.both:
            # Keys look at the distance too (Huang et al. 2020, method 4).
            score_BHTS = score_BHTS + pick(k_BHSK @ self.weight.t(), row_TS.t()).transpose(2, 3)
        score_BHTS = score_BHTS * self.scale
        if mask is not None:
            # Where the mask is false nothing may be read.
            score_BHTS = score_BHTS.masked_fill(~mask, -math.inf)
        return score_BHTS


class TransformerXLScores(nn.Module):
    """Scores with sinusoids of each distance, and of keys by themselves: q_BHTK, k_BHSK -> score_BHTS.

    Source: Dai et al. 2019, section 3.3 (terms b, c and d of the score).
    """

    def __init__(
        self, width: int, heads: int, size: int, scale: float, style: str = "concatenated", causal: bool = False
    ) -> None:
        super().__init__()
        self.width = width
        self.scale = scale
        self.style = style
        self.causal = causal
        self.position = nn.Linear(width, heads * size, bias=False)
        self.u = nn.Parameter(torch.zeros(heads, size))
        self.v = nn.Parameter(torch.zeros(heads, size))

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor, mask: Tensor | None = None) -> Tensor:
        T, S = q_BHTK.size(2), k_BHSK.size(2)
        # One row for each distance, query minus key, from the greatest.
        if self.causal:
            far_R = torch.arange(S - 1, -2, -1, device=q_BHTK.device)
        else:
            far_R = torch.arange(S - 1, -T - 1, -1, device=q_BHTK.device)
        place_RHK = self.position(self.sinusoids(far_R, q_BHTK)).unflatten(-1, self.v.shape)
        seen_BHTR = (q_BHTK + self.v.unsqueeze(1)) @ place_RHK.permute(1, 2, 0)
        # Each query's keys begin one row before those of the query behind it.
        score_BHTS = seen_BHTR.flatten(2)[..., T - 1 : -1].unflatten(2, (T, -1))[..., :S]
        score_BHTS = score_BHTS + (self.u.unsqueeze(1) * k_BHSK).sum(-1).unsqueeze(2)
        score_BHTS = score_BHTS * self.scale
        if mask is not None:
            # Where the mask is false nothing may be read.
            score_BHTS = score_BHTS.masked_fill(~mask, -math.inf)
        return score_BHTS

    def sinusoids(self, far_R: Tensor, q_BHTK: Tensor) -> Tensor:
        """Return sines and cosines of each distance."""
        exact = torch.promote_types(q_BHTK.dtype, torch.float32)
        pair_P = torch.arange(0, self.width, 2, dtype=exact, device=q_BHTK.device)
        angle_RP = torch.outer(far_R.to(exact), 10000.0 ** (-pair_P / self.width))
        if self.style == "concatenated":
            table_RD = torch.cat((angle_RP.sin(), angle_RP.cos()), dim=-1)
        else:
            table_RD = torch.stack((angle_RP.sin(), angle_RP.cos()), dim=-1).flatten(1)
        return table_RD.to(q_BHTK.dtype)
