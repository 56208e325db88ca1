"""short_conv: each feature mixed with itself at the few positions before, by itself or between two gates."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache


class Taps(nn.Module):
    """A causal convolution of each feature by itself: x_BTD -> x_BTD.

    Each position gets a weighted sum of its feature at the last `size` positions, its own
    the last; zeros stand before the first position and in the place of padding.
    """

    def __init__(self, width: int, size: int, bias: bool = False) -> None:
        super().__init__()
        self.has_bias = bias
        self.weight = nn.Parameter(torch.zeros(size, width))
        if bias:
            self.bias = nn.Parameter(torch.zeros(width))

    def forward(
        self,
        x_BTD: Tensor,
        keep: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        size, T = self.weight.size(0), x_BTD.size(1)
        if keep is not None:
            x_BTD = x_BTD * keep.unsqueeze(-1)
        x_BSD = F.pad(x_BTD, (0, 0, size - 1, 0)) if cache is None else cache.tail(x_BTD, 1, size - 1)
        if place_BT is not None and cache is not None:
            cache.cut(place_BT)
        # A product for each tap is faster on a CPU than its convolution, above all backward.
        if cache is not None and T == 1:
            if place_BT is not None:
                # Nothing is read from before the document's beginning.
                back_S = torch.arange(size - 1, -1, -1, device=x_BTD.device)
                x_BSD = x_BSD.masked_fill((place_BT < back_S).unsqueeze(-1), 0)
            y_BTD = (x_BSD * self.weight).sum(1, keepdim=True)
        elif place_BT is not None:
            y_BTD = x_BSD[:, size - 1 :] * self.weight[size - 1]
            for back in range(1, size):
                # Nothing is read from before the document's beginning.
                tap, far_BT1 = size - 1 - back, (place_BT < back).unsqueeze(-1)
                read_BTD = x_BSD[:, tap : tap + T] * self.weight[tap]
                y_BTD = y_BTD + read_BTD.masked_fill(far_BT1, 0)
        else:
            y_BTD = x_BSD[:, :T] * self.weight[0]
            for tap in range(1, size):
                y_BTD = torch.addcmul(y_BTD, x_BSD[:, tap : tap + T], self.weight[tap])
        if self.has_bias:
            y_BTD = y_BTD + self.bias
        return y_BTD


class ShortConvolution(nn.Module):
    """A causal convolution between two gates: x_BTD -> x_BTD.

    Three projections b, c, h of x: out(c * taps(b * h)).
    Source: Liquid AI 2025 (LFM2).
    """

    def __init__(self, width: int, size: int, bias: bool = False, conv_bias: bool = False) -> None:
        super().__init__()
        self.parts = nn.Linear(width, 3 * width, bias=bias)
        self.taps = Taps(width, size, bias=conv_bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(
        self,
        x_BTD: Tensor,
        keep: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        b_BTD, c_BTD, h_BTD = self.parts(x_BTD).chunk(3, dim=-1)
        return self.out(c_BTD * self.taps(b_BTD * h_BTD, keep, cache, place_BT))
