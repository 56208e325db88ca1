"""The figures that several objectives tell."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl.training.crossentropy import CHUNK, IGNORED, Unscored


def hits(given: Tensor | Unscored, targets: Tensor) -> int:
    """Return how many of the targets that are not IGNORED have the highest score; scores are made some at a time."""
    keep = targets != IGNORED
    x = given.x if isinstance(given, Unscored) else given
    x_ND, target_N, found = x[keep], targets[keep], 0
    if not len(target_N):
        return 0
    rows = len(x_ND) if not isinstance(given, Unscored) else max(1, CHUNK // len(given.weight_VD))
    for start in range(0, len(x_ND), rows):
        part_CV = x_ND[start : start + rows]
        if isinstance(given, Unscored):
            part_CV = F.linear(part_CV, given.weight_VD, given.bias_V)
        found += int((part_CV.argmax(-1) == target_N[start : start + rows]).sum())
    return found


def wide(logits: Tensor) -> Tensor:
    """Return logits in float32 where they are narrower."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def perplexity(loss: float) -> float:
    """Return e to the `loss` in nats, which is held below what a float can say."""
    return math.exp(min(loss, 700))
