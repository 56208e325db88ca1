"""residual: what becomes of a branch before it is added to what it began with."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gate(nn.Module):
    """A learned factor, one number or one for each feature: y_BTD -> y_BTD.

    Source: Bachlechner et al. 2020 (ReZero); Touvron et al. 2021 (LayerScale).
    """

    def __init__(self, width: int, tanh: bool = False) -> None:
        super().__init__()
        self.tanh = tanh
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, y_BTD: Tensor) -> Tensor:
        if self.tanh:
            return torch.tanh(self.weight) * y_BTD
        else:
            return self.weight * y_BTD


class DropPath(nn.Module):
    """While training, the whole branch is zero for a sample with probability p (Huang et al. 2016)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, y_BTD: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return y_BTD
        kept_B = torch.rand_like(y_BTD.flatten(1)[:, 0]) >= self.p
        kept_B11 = kept_B.view(-1, *[1] * (y_BTD.dim() - 1))
        return y_BTD * kept_B11 / (1 - self.p)
