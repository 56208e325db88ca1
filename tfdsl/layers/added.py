"""added: learned positions put before, among or behind those of a sequence."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Prepend(nn.Module):
    """Puts learned positions before the first, or behind the first few: x_BTD -> x_BUD, U = tokens + T.

    Source: Dosovitskiy et al. 2021, equation 1.
    """

    def __init__(self, tokens: int, width: int, after: int | None = None) -> None:
        super().__init__()
        self.after = after
        self.weight = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x_BTD: Tensor, start: int = 0) -> Tensor:
        if start > 0:
            return x_BTD
        first_BUD = self.weight.expand(x_BTD.size(0), -1, -1)
        if self.after is not None:
            return torch.cat((x_BTD[:, : self.after], first_BUD, x_BTD[:, self.after :]), dim=1)
        return torch.cat((first_BUD, x_BTD), dim=1)


class Append(nn.Module):
    """Puts learned positions behind the last: x_BTD -> x_BUD, U = T + tokens."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        return torch.cat((x_BTD, self.weight.expand(x_BTD.size(0), -1, -1)), dim=1)
