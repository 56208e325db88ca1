"""rotary: queries and keys turned by angles that grow with their position."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rotate(x_BHTK: Tensor, rope: tuple[Tensor, Tensor], style: str, rotated: int | None, end: bool = False) -> Tensor:
    """Turn each pair of features by the angles of `rope`: cosines and signed sines."""
    whole_BHTK = x_BHTK
    if rotated is not None and end:
        x_BHTK = x_BHTK[..., -rotated:]
    elif rotated is not None:
        x_BHTK = x_BHTK[..., :rotated]
    cos_TK, sin_TK = rope
    if style == "half":
        swapped_BHTK = x_BHTK.roll(x_BHTK.size(-1) // 2, dims=-1)
    else:
        swapped_BHTK = x_BHTK.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    turned_BHTK = torch.addcmul(x_BHTK * cos_TK, swapped_BHTK, sin_TK).type_as(x_BHTK)
    if rotated is not None and end:
        turned_BHTK = torch.cat((whole_BHTK[..., :-rotated], turned_BHTK), dim=-1)
    elif rotated is not None:
        turned_BHTK = torch.cat((turned_BHTK, whole_BHTK[..., rotated:]), dim=-1)
    return turned_BHTK


def turns(angle_TP: Tensor, style: str) -> tuple[Tensor, Tensor]:
    """Return the tables of cosines and signed sines of the angle of each pair: (T, P) -> twice (T, K), K = 2 P."""
    cos_TP, sin_TP = angle_TP.cos(), angle_TP.sin()
    if style == "half":
        cos_TK = torch.cat((cos_TP, cos_TP), dim=-1)
        sin_TK = torch.cat((-sin_TP, sin_TP), dim=-1)
    else:
        cos_TK = torch.stack((cos_TP, cos_TP), dim=-1).flatten(1)
        sin_TK = torch.stack((-sin_TP, sin_TP), dim=-1).flatten(1)
    return cos_TK, sin_TK


class Rotary(nn.Module):
    """The angles that turn queries and keys: tables of their cosines and signed sines.

    The features of pair i turn by position * theta^(-2i / size).
    Source: Su et al. 2021, equations 15 and 34.
    """

    def __init__(
        self,
        size: int,
        theta: float = 10000.0,
        style: str = "half",
        scaling: str | None = None,
        factor: float = 1.0,
        length: int = 0,
        low: float = 1.0,
        high: float = 4.0,
        truncate: bool = True,
        turning: int = 0,
        short: tuple[float, ...] = (),
        long: tuple[float, ...] = (),
        strength: float | None = None,
        reverse: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.theta = theta
        self.style = style
        self.scaling = scaling
        self.factor = factor
        self.length = length
        self.low = low
        self.high = high
        self.turning = turning
        self.short = short
        self.long = long
        self.strength = strength
        self.reverse = reverse
        if scaling == "yarn":
            # The pairs that turn `high` and `low` times in the trained length.
            self.first = size * math.log(length / (high * 2 * math.pi)) / (2 * math.log(theta))
            self.last = size * math.log(length / (low * 2 * math.pi)) / (2 * math.log(theta))
            if truncate:
                self.first, self.last = math.floor(self.first), math.ceil(self.last)
            self.first, self.last = max(self.first, 0), min(self.last, size - 1)
            if self.first == self.last:
                self.last = self.last + 0.001

    def forward(self, x_BTD: Tensor, start: int = 0, place_BT: Tensor | None = None) -> tuple[Tensor, Tensor]:
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        end = start + x_BTD.size(1)
        if self.scaling == "dynamic" and start > 0 and end > self.length:
            raise ValueError(f"angles beyond {self.length} change those of all positions: give them without a cache")
        if self.scaling == "longrope" and 0 < start <= self.length < end:
            raise ValueError(f"position {self.length} changes the angles of all positions: begin a new cache there")
        if place_BT is not None:
            # Each document is counted from its own beginning, in each row.
            position_T = place_BT.flatten().to(exact)
        else:
            position_T = torch.arange(start, end, dtype=exact, device=x_BTD.device)
        pair_P = torch.arange(0, self.size, 2, dtype=exact, device=x_BTD.device)
        if self.scaling is None:
            angle_TP = torch.outer(position_T, self.theta ** (-pair_P / self.size))
        else:
            angle_TP = torch.outer(position_T, self.rates(pair_P, end))
        if self.reverse:
            angle_TP = -angle_TP
        cos_TK, sin_TK = turns(angle_TP, self.style)
        if self.strength is not None:
            cos_TK, sin_TK = cos_TK * self.strength, sin_TK * self.strength
        if place_BT is not None:
            cos_TK = cos_TK.view(x_BTD.size(0), 1, x_BTD.size(1), -1)
            sin_TK = sin_TK.view(x_BTD.size(0), 1, x_BTD.size(1), -1)
        return cos_TK.to(x_BTD.dtype), sin_TK.to(x_BTD.dtype)

    def rates(self, pair_P: Tensor, length: int) -> Tensor:
        """Return the angle between two neighbours for each pair of features, in a sequence of `length`."""
        rate_P = self.theta ** (-pair_P / self.size)
        if self.scaling == "linear":
            # Chen et al. 2023: positions are drawn together.
            rate_P = rate_P / self.factor
        elif self.scaling == "dynamic":
            # A sequence longer than the trained length stretches the wavelengths, the longest by the most.
            growth = self.factor * max(length, self.length) / self.length - self.factor + 1
            rate_P = (self.theta * growth ** (self.size / (self.size - 2))) ** (-pair_P / self.size)
        elif self.scaling == "yarn":
            # Peng et al. 2023, section 3.2: fast pairs keep their rate, slow ones are drawn together.
            slow_P = ((pair_P / 2 - self.first) / (self.last - self.first)).clamp(0, 1)
            rate_P = rate_P * (1 - slow_P) + rate_P / self.factor * slow_P
        elif self.scaling == "llama3":
            # Pairs that turn often in the trained length keep their rate, slow ones are drawn together.
            fast_P = ((rate_P * (self.length / (2 * math.pi)) - self.low) / (self.high - self.low)).clamp(0, 1)
            rate_P = rate_P * fast_P + rate_P / self.factor * (1 - fast_P)
        elif self.scaling == "longrope":
            # Ding et al. 2024: a factor for each pair, by whether the sequence is longer than the trained length.
            short_P = torch.tensor(self.short, dtype=pair_P.dtype, device=pair_P.device)
            long_P = torch.tensor(self.long, dtype=pair_P.dtype, device=pair_P.device)
            rate_P = rate_P / torch.where(pair_P.new_full((), length) > self.length, long_P, short_P)
        elif self.scaling == "proportional":
            # Only the fastest pairs of the whole head turn.
            rate_P = torch.where(pair_P < 2 * self.turning, rate_P / self.factor, 0)
        return rate_P


class AxialRotary(nn.Module):
    """The angles that turn queries and keys of the squares of a grid, row by row: tables of cosines and signed sines.

    Half of the pairs turn with the row, half with the column; positions before the first square do not turn.
    `rates` says how fast: `split` as those of half a head, for both; `dealt` as those of a whole head, dealt in turn
    (Agrawal et al. 2024); `centred` as `split`, over 2 pi times the way from the middle, -1 to 1 (Simeoni et al. 2025).
    """

    def __init__(
        self,
        size: int,
        height: int,
        width: int,
        theta: float = 10000.0,
        style: str = "half",
        rates: str = "split",
        first: int = 0,
        columns_first: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.height = height
        self.width = width
        self.theta = theta
        self.style = style
        self.rates = rates
        self.first = first
        self.columns_first = columns_first

    def forward(self, x_BTD: Tensor, start: int = 0) -> tuple[Tensor, Tensor]:
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        row_I = torch.arange(self.height, dtype=exact, device=x_BTD.device) + self.first
        column_J = torch.arange(self.width, dtype=exact, device=x_BTD.device) + self.first
        pair_P = torch.arange(0, self.size, 2, dtype=exact, device=x_BTD.device)
        if self.rates == "dealt":
            rate_P = self.theta ** (-pair_P / self.size)
            down_P, right_P = rate_P[::2], rate_P[1::2]
        else:
            down_P = self.theta ** (-2 * pair_P[: self.size // 4] / self.size)
            right_P = down_P
        if self.rates == "centred":
            row_I = 2 * math.pi * (2 * (row_I + 0.5) / self.height - 1)
            column_J = 2 * math.pi * (2 * (column_J + 0.5) / self.width - 1)
        down_IJP = torch.outer(row_I, down_P).unsqueeze(1).expand(-1, self.width, -1)
        right_IJP = torch.outer(column_J, right_P).unsqueeze(0).expand(self.height, -1, -1)
        if self.columns_first:
            angle_TP = torch.cat((right_IJP, down_IJP), dim=-1).flatten(0, 1)
        else:
            angle_TP = torch.cat((down_IJP, right_IJP), dim=-1).flatten(0, 1)
        angle_TP = F.pad(angle_TP, (0, 0, x_BTD.size(1) - angle_TP.size(0), 0))
        cos_TK, sin_TK = turns(angle_TP, self.style)
        return cos_TK.to(x_BTD.dtype), sin_TK.to(x_BTD.dtype)
