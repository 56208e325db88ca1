"""The layer of `bottleneck`: its text goes into the models that use it; tfdsl reads this file and never imports it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """Adds to each position what a narrow matrix, ReLU and a wide matrix make of it: x_BTD -> x_BTD."""

    def __init__(self, width: int, middle: int, twice: bool = False) -> None:
        super().__init__()
        self.twice = twice
        self.down = nn.Linear(width, middle, bias=False)
        self.up = nn.Linear(middle, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        h_BTF = F.relu(self.down(x_BTD))
        if self.twice:
            h_BTF = h_BTF.square()
        return x_BTD + self.up(h_BTF)
