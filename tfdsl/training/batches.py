"""Batches of token windows, each a function of the seed and the step: nothing to save, nothing to restore."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfdsl.tokens import Tokens


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """Windows of `context` tokens and their successors, `rows` a step, each window once an epoch.

    An epoch cuts the text at a random phase and visits its windows in a random order; both are functions of the seed
    and the epoch.
    """

    tokens: Tokens
    rows: int
    context: int
    seed: int

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of a step (from 0), int64 [rows, context] both."""
        places = step * self.rows + np.arange(self.rows)
        return _windows(self.tokens, self._starts(places), self.context)

    def _starts(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        count = max(1, (len(self.tokens) - 1) // self.context - 1)
        epochs, places = np.divmod(places, count)
        starts = np.empty_like(places)
        for epoch in np.unique(epochs):
            phase, order = _epoch(self.seed, int(epoch), count, min(self.context, len(self.tokens) - self.context))
            here = epochs == epoch
            starts[here] = phase + order[places[here]] * self.context
        return starts


@lru_cache(maxsize=2)
def _epoch(seed: int, epoch: int, count: int, phases: int) -> tuple[int, NDArray[np.int64]]:
    draw = np.random.default_rng([seed, epoch])
    return int(draw.integers(phases)), draw.permutation(count)


def in_order(tokens: Tokens, rows: int, context: int, most: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `tokens` as batches of windows from first to last, so that each token but the first is a target once.

    `most` windows, where there are more, are spread evenly over the text. The end of the text, where it is shorter than
    a window, is a batch of its own.
    """
    full = (len(tokens) - 1) // context
    starts = np.arange(full) * context
    if most is not None and most < full:
        starts = starts[np.arange(most) * full // most]
    for first in range(0, len(starts), rows):
        yield _windows(tokens, starts[first : first + rows], context)
    rest = (len(tokens) - 1) % context
    if rest and len(starts) == full:
        yield _windows(tokens, np.array([full * context]), rest)


def _windows(tokens: Tokens, starts: NDArray[np.int64], context: int) -> tuple[Tensor, Tensor]:
    rows = torch.from_numpy(tokens[starts[:, None] + np.arange(context + 1)].astype(np.int64))
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()
