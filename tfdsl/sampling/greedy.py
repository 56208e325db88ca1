"""Write many texts at once, each time the likeliest token: what a model answers, for a measurement."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tfdsl.sampling.reader import Reader

Waiting = Callable[[int], int]


def alone(waiting: int) -> int:
    """Return the number of unfinished texts where one process writes."""
    return waiting


def greedy(reader: Reader, logits_BV: Tensor, *, end: int, length: int, waiting: Waiting = alone) -> Tensor:
    """Return up to `length` tokens [B, L] that follow what a reader has read, whose logits [B, V] come next.

    Behind its first `end`, a row holds `end` alone. `waiting` sums the unfinished rows over all processes, so that each
    reads as often as the others.
    """
    done_B = torch.zeros(len(logits_BV), dtype=torch.bool, device=logits_BV.device)
    written: list[Tensor] = []
    for place in range(length):
        next_B = torch.where(done_B, end, logits_BV.argmax(-1))
        done_B |= next_B == end
        written.append(next_B)
        if waiting(int((~done_B).sum())) == 0 or place + 1 == length:
            break
        logits_BV = reader.read(next_B[:, None])[:, -1]
    return torch.stack(written, 1)
