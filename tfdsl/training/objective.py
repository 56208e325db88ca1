"""What is minimised, and the measurement of it on held-out text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Model = Callable[[Tensor], Tensor]
BUILT = ("next_token",)


@dataclass(frozen=True, slots=True)
class Measured:
    """A loss on held-out text: `loss` in nats a token, `bits` in bits a byte of the text."""

    loss: float
    bits: float
    tokens: int


def next_token(model: Model, inputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy in nats of `targets` [B, T] under the logits that `inputs` [B, T] lead to."""
    logits = model(inputs)
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), label_smoothing=smoothing)


@torch.no_grad()
def measure(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    bytes_a_token: float,
    cast: Callable[[], AbstractContextManager[object]],
) -> Measured:
    """Return the mean loss over all targets of `batches`, each token weighing the same, dropout off."""
    training = model.training
    model.eval()
    total, count = 0.0, 0
    for inputs, targets in batches:
        with cast():
            total += next_token(model, inputs, targets).item() * targets.numel()
        count += targets.numel()
    model.train(training)
    loss = total / count
    return Measured(loss, loss / math.log(2) / bytes_a_token, count)
