"""patch: an image cut into rectangles, or a film into boxes, each one position."""

from __future__ import annotations

from torch import Tensor, nn


class Patch(nn.Conv2d):
    """Multiplies each rectangle of an image by one matrix: x_BCHW -> x_BTD.

    Source: Dosovitskiy et al. 2021, equation 1.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int = 0,
        groups: int | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__(
            channels,
            width,
            size,
            stride=size if stride is None else stride,
            padding=padding,
            groups=1 if groups is None else groups,
            bias=bias,
        )

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).flatten(2).transpose(1, 2)


class Tubelet(nn.Conv3d):
    """Multiplies each box of a film by one matrix: x_BCFHW -> x_BTD (Arnab et al. 2021, section 3.2)."""

    def __init__(
        self,
        channels: int,
        width: int,
        size: int | tuple[int, int, int],
        stride: int | tuple[int, int, int] | None = None,
        padding: int = 0,
        groups: int | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__(
            channels,
            width,
            size,
            stride=size if stride is None else stride,
            padding=padding,
            groups=1 if groups is None else groups,
            bias=bias,
        )

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).flatten(2).transpose(1, 2)
