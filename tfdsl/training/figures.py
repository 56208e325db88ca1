"""The figures that several objectives tell."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl.heads import Unscored
from tfdsl.training.crossentropy import CHUNK, IGNORED


def likeliest(given: Tensor | Unscored, targets: Tensor) -> Tensor:
    """Return for each target that is not IGNORED whether it has the highest score; scores are made some at a time."""
    keep = targets != IGNORED
    x_ND, target_N = (given.x if isinstance(given, Unscored) else given)[keep], targets[keep]
    if not isinstance(given, Unscored):
        return x_ND.argmax(-1) == target_N
    rows = max(1, CHUNK // len(given.weight_VD))
    parts = [F.linear(part_CD, given.weight_VD, given.bias_V).argmax(-1) for part_CD in x_ND.split(rows)]
    return torch.cat(parts) == target_N


def hits(given: Tensor | Unscored, targets: Tensor) -> int:
    """Return how many of the targets that are not IGNORED have the highest score."""
    return int(likeliest(given, targets).sum())


def wide(logits: Tensor) -> Tensor:
    """Return logits in float32 where they are narrower."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def perplexity(loss: float) -> float:
    """Return e to the `loss` in nats, which is held below what a float can say."""
    return math.exp(min(loss, 700))
