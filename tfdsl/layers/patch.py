"""patch: an image cut into squares, each one position."""

from __future__ import annotations

from torch import Tensor, nn


class Patch(nn.Conv2d):
    """Multiplies each square of an image by one matrix: x_BCHW -> x_BTD.

    Source: Dosovitskiy et al. 2021, equation 1.
    """

    def __init__(self, channels: int, width: int, size: int, bias: bool = True) -> None:
        super().__init__(channels, width, size, stride=size, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).flatten(2).transpose(1, 2)
