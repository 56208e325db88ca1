"""position: where a token stands, added to it; and positions before the others."""

from __future__ import annotations

import torch
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
