"""position: where a token stands, added to it; and positions before the others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def counted(seen_BS: Tensor, length: int, first: int) -> Tensor:
    """Return the number of each of the last `length` positions, those that are not real left out: (B, length).

    The first real one has the number `first`; one that is not real has the number before it, and none below 0.
    """
    count_BS = seen_BS.cumsum(dim=1) + (first - 1)
    return count_BS.masked_fill(~seen_BS, max(first - 1, 0))[:, -length:]


class LearnedPosition(nn.Module):
    """Adds a learned row to each position: x_BTD -> x_BTD (Gehring et al. 2017)."""

    def __init__(self, length: int, width: int, offset: int = 0, known: bool = False) -> None:
        super().__init__()
        self.offset = offset
        self.known = known  # whether the length is, before the model runs
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(
        self, x_BTD: Tensor, start: int = 0, seen_BS: Tensor | None = None, place_BT: Tensor | None = None
    ) -> Tensor:
        if place_BT is not None:
            # Each document is counted from its own beginning.
            return x_BTD + F.embedding(place_BT + self.offset, self.weight)
        if seen_BS is not None:
            # Padding is not counted.
            return x_BTD + F.embedding(counted(seen_BS, x_BTD.size(1), self.offset), self.weight)
        if self.known:
            return x_BTD + self.weight[self.offset : self.offset + x_BTD.size(1)]
        end = start + self.offset + x_BTD.size(1)
        if end > self.weight.size(0):
            raise ValueError(f"{self.weight.size(0)} positions are learned, not {end}")
        return x_BTD + self.weight[start + self.offset : end]


class LearnedGrid(nn.Module):
    """Adds a learned row and a learned column to each square of a grid, row by row: x_BTD -> x_BTD.

    Positions before the first square get nothing.
    """

    def __init__(self, height: int, width: int, features: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(height, features))
        self.columns = nn.Parameter(torch.zeros(width, features))

    def forward(self, x_BTD: Tensor) -> Tensor:
        table_TD = (self.rows.unsqueeze(1) + self.columns).flatten(0, 1)
        return x_BTD + F.pad(table_TD, (0, 0, x_BTD.size(1) - table_TD.size(0), 0))


def sinusoids(place_T: Tensor, width: int, theta: float, style: str, inclusive: bool) -> Tensor:
    """Return sines and cosines of each place: (..., T) -> (..., T, width)."""
    pair_P = torch.arange(0, width, 2, dtype=place_T.dtype, device=place_T.device)
    if inclusive:
        # From 1 to theta, both among them, as tensor2tensor has it.
        angle_TP = place_T.unsqueeze(-1) * theta ** (-pair_P / (width - 2))
    else:
        angle_TP = place_T.unsqueeze(-1) * theta ** (-pair_P / width)
    if style == "interleaved":
        table_TD = torch.stack((angle_TP.sin(), angle_TP.cos()), dim=-1).flatten(-2)
    elif style == "concatenated":
        table_TD = torch.cat((angle_TP.sin(), angle_TP.cos()), dim=-1)
    else:
        table_TD = torch.cat((angle_TP.cos(), angle_TP.sin()), dim=-1)
    return table_TD


class SinusoidalPosition(nn.Module):
    """Adds sines and cosines of each position to its features: x_BTD -> x_BTD.

    Source: Vaswani et al. 2017, section 3.5.
    """

    def __init__(
        self,
        width: int,
        theta: float = 10000.0,
        style: str = "interleaved",
        inclusive: bool = False,
        offset: int = 0,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.width = width
        self.theta = theta
        self.style = style
        self.inclusive = inclusive
        self.offset = offset
        self.scale = scale

    def forward(
        self, x_BTD: Tensor, start: int = 0, seen_BS: Tensor | None = None, place_BT: Tensor | None = None
    ) -> Tensor:
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        if place_BT is not None:
            # Each document is counted from its own beginning.
            table_TD = sinusoids((place_BT + self.offset).to(exact), self.width, self.theta, self.style, self.inclusive)
        elif seen_BS is None:
            place_T = torch.arange(start, start + x_BTD.size(1), dtype=exact, device=x_BTD.device) + self.offset
            table_TD = sinusoids(place_T, self.width, self.theta, self.style, self.inclusive)
        else:
            # Padding is not counted, and gets nothing.
            place_T = counted(seen_BS, x_BTD.size(1), self.offset).to(exact)
            table_TD = sinusoids(place_T, self.width, self.theta, self.style, self.inclusive)
            table_TD = table_TD * seen_BS[:, -x_BTD.size(1) :, None]
        if self.scale is not None:
            table_TD = table_TD * self.scale
        return x_BTD + table_TD.to(x_BTD.dtype)


class SinusoidalGrid(nn.Module):
    """Adds sines and cosines of each square's column and row, half of the features each: x_BTD -> x_BTD.

    Positions before the first square get nothing.
    Source: He et al. 2022 (their released code); Beyer et al. 2022.
    """

    def __init__(
        self,
        height: int,
        width: int,
        features: int,
        theta: float = 10000.0,
        style: str = "interleaved",
        inclusive: bool = False,
        rows_first: bool = False,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.height = height
        self.width = width
        self.features = features
        self.theta = theta
        self.style = style
        self.inclusive = inclusive
        self.rows_first = rows_first
        self.scale = scale

    def forward(self, x_BTD: Tensor) -> Tensor:
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        place_T = torch.arange(self.height * self.width, device=x_BTD.device)
        row_T, column_T = (place_T // self.width).to(exact), (place_T % self.width).to(exact)
        both_2T = torch.stack((row_T, column_T) if self.rows_first else (column_T, row_T))
        half_2TF = sinusoids(both_2T, self.features // 2, self.theta, self.style, self.inclusive)
        table_TD = torch.cat((half_2TF[0], half_2TF[1]), dim=-1)
        if self.scale is not None:
            table_TD = table_TD * self.scale
        return x_BTD + F.pad(table_TD, (0, 0, x_BTD.size(1) - table_TD.size(0), 0)).to(x_BTD.dtype)
