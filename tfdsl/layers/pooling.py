"""pooling: one vector for a sequence."""

from __future__ import annotations

from torch import Tensor


def mean_of_kept(x_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """Return the mean over the positions that are not padding: x_BTD -> x_BD (zero where all are)."""
    keep_BT1 = keep_BT.unsqueeze(-1).to(x_BTD.dtype)
    return (x_BTD * keep_BT1).sum(dim=1) / keep_BT1.sum(dim=1).clamp(min=1)
