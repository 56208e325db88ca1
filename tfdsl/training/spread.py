"""Cross-entropy with a target that is spread over several right answers, among those that are open."""

from __future__ import annotations

import torch
from torch import Tensor


def cross(scores_QC: Tensor, right_QC: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy [Q] of each row, its target spread evenly over what is right (Yang et al., 2022).

    A score of minus infinity is not open; `smoothing` of the target is spread over all that is (Szegedy et al., 2016).
    """
    open_QC = ~scores_QC.isneginf()
    logs_QC = scores_QC.log_softmax(1).masked_fill(~open_QC, 0.0)
    target_QC = right_QC / right_QC.sum(1, keepdim=True)
    if smoothing:
        target_QC = torch.lerp(target_QC, open_QC / open_QC.sum(1, keepdim=True), smoothing)
    return -(target_QC * logs_QC).sum(1)
