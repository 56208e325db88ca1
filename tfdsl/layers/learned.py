"""learned: a parameter that is a value of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Learned(nn.Module):
    """A learned tensor of this shape, which depends on no input."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self) -> Tensor:
        return self.weight
