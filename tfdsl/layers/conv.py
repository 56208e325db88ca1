"""conv: convolutions along the positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache


class Conv(nn.Conv1d):
    """A convolution along the positions: x_BTD -> x_BUE."""

    def __init__(
        self,
        width: int,
        out: int,
        kernel: int,
        stride: int | None = None,
        padding: int = 0,
        dilation: int | None = None,
        groups: int | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__(
            width,
            out,
            kernel,
            stride=1 if stride is None else stride,
            padding=padding,
            dilation=1 if dilation is None else dilation,
            groups=1 if groups is None else groups,
            bias=bias,
        )

    def forward(self, input: Tensor, keep_BT: Tensor | None = None) -> Tensor:
        if keep_BT is not None:
            input = input.masked_fill(~keep_BT.unsqueeze(-1), 0)
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class CausalConv(nn.Conv1d):
    """A convolution along the positions that sees none that come later: x_BTD -> x_BUE."""

    def __init__(
        self,
        width: int,
        out: int,
        kernel: int,
        stride: int | None = None,
        dilation: int | None = None,
        groups: int | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__(
            width,
            out,
            kernel,
            stride=1 if stride is None else stride,
            dilation=1 if dilation is None else dilation,
            groups=1 if groups is None else groups,
            bias=bias,
        )
        self.before = kernel - 1 if dilation is None else dilation * (kernel - 1)

    def forward(
        self,
        input: Tensor,
        keep_BT: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        if keep_BT is not None:
            input = input.masked_fill(~keep_BT.unsqueeze(-1), 0)
        longer = F.pad(input, (0, 0, self.before, 0)) if cache is None else cache.tail(input, 1, self.before)
        if place_BT is not None and cache is not None:
            cache.cut(place_BT)
        if place_BT is not None:
            # Each position with those that it reads beside it, without what stands before its document.
            taps, step = self.kernel_size[0], self.dilation[0]
            back_K = torch.arange(self.before, -1, -step, device=input.device)
            read_BTDK = longer.unfold(1, self.before + 1, 1)[..., ::step]
            read_BTDK = read_BTDK.masked_fill((place_BT.unsqueeze(-1) < back_K).unsqueeze(2), 0)
            read_BDS = read_BTDK.transpose(1, 2).flatten(2)
            return F.conv1d(read_BDS, self.weight, self.bias, stride=taps, groups=self.groups).transpose(1, 2)
        return super().forward(longer.transpose(1, 2)).transpose(1, 2)


def shifted(
    x_BTD: Tensor,
    by: int,
    keep_BT: Tensor | None = None,
    cache: Cache | None = None,
    place_BT: Tensor | None = None,
) -> Tensor:
    """Return each position's value `by` places on; zeros come first, or last where `by` is below 0."""
    if keep_BT is not None:
        x_BTD = x_BTD.masked_fill(~keep_BT.unsqueeze(-1), 0)
    if place_BT is not None:
        longer = F.pad(x_BTD, (0, 0, by, 0)) if cache is None else cache.tail(x_BTD, 1, by)
        if cache is not None:
            cache.cut(place_BT)
        # Nothing comes from the document before.
        return longer[:, : x_BTD.size(1)].masked_fill((place_BT < by).unsqueeze(-1), 0)
    if cache is not None:
        return cache.tail(x_BTD, 1, by)[:, : x_BTD.size(1)]
    if by > 0:
        return F.pad(x_BTD, (0, 0, by, 0))[:, : x_BTD.size(1)]
    return F.pad(x_BTD, (0, 0, 0, -by))[:, -by:]
