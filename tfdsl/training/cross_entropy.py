"""Sums over the targets that count, whatever the objective."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100  # a target that does not count


def summed(logits_BTV: Tensor, targets_BT: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy in nats, summed over the targets that count, in float32 or better.

    `smoothing` is the share of a target that is spread over all words (Szegedy et al., 2016, section 7).
    """
    flat_NV = wide(logits_BTV.flatten(0, -2))
    return F.cross_entropy(
        flat_NV, targets_BT.flatten(), ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing
    )


def hits(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Return how many of the targets that count are the likeliest word, as one number."""
    counted = targets_BT != IGNORED
    return ((logits_BTV.argmax(-1) == targets_BT) & counted).sum()


def wide(logits: Tensor) -> Tensor:
    """Return logits in float32 where they are narrower."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def perplexity(loss: float) -> float:
    """Return e to the `loss` in nats, which is held below what a float can say."""
    return math.exp(min(loss, 700))
