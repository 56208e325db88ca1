"""pooling: one vector for a sequence, its padding left out."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mean_of_kept(x_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """Return the mean over the positions that are kept: x_BTD -> x_BD."""
    keep_BT1 = keep_BT.unsqueeze(-1).to(x_BTD.dtype)
    return (x_BTD * keep_BT1).sum(dim=1) / keep_BT1.sum(dim=1).clamp(min=1)


def max_of_kept(x_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """Return each feature's greatest value over the positions that are kept: x_BTD -> x_BD."""
    return x_BTD.masked_fill(~keep_BT.unsqueeze(-1), -math.inf).amax(dim=1)


def last_of_kept(x_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """Return the last position that is kept: x_BTD -> x_BD."""
    place_T = torch.arange(keep_BT.size(1), device=keep_BT.device)
    last_B = (place_T * keep_BT).amax(dim=1)
    return x_BTD[torch.arange(x_BTD.size(0), device=x_BTD.device), last_B]
