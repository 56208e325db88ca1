"""Windows of one long text, with marks around them, and what is drawn for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.diagnostics import Diagnostic
from tfdsl.training.task import HELD_OUT, Place

Tokens = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """Stretches of `size` tokens; those of an epoch lie side by side, from a place drawn for the epoch on.

    Held out, the last one ends where the text does, and of what it shares with the one before nothing is `new`.
    """

    size: int
    seed: int

    def count(self, table: Table, epoch: int) -> int:
        """Return how many an epoch has."""
        length = len(words(table))
        return -(-length // self.size) if epoch == HELD_OUT else max(1, length // self.size - 1)

    def rows(self, table: Table, places: Sequence[Place]) -> tuple[Tokens, NDArray[np.bool_]]:
        """Return the tokens [B, T] at `places`, and which of them are new; a shorter text is one window."""
        at, starts = self._at(table, places)
        return words(table)[at].astype(np.int64), at >= starts

    def documents(self, table: Table, places: Sequence[Place]) -> Tokens:
        """Return the number of the document that each token [B, T] at `places` stands in."""
        return np.searchsorted(text(table).offsets, self._at(table, places)[0], side="right")

    def _at(self, table: Table, places: Sequence[Place]) -> tuple[Tokens, Tokens]:
        """Return where in the text the tokens [B, T] stand, and where each window begins that is all new."""
        length = len(words(table))
        size = min(self.size, length)
        last = length - size
        starts = np.array([self._start(each, last) for each in places], np.int64).reshape(-1, 1)
        return np.minimum(starts, last) + np.arange(size), starts

    def _start(self, place: Place, last: int) -> int:
        shift = 0 if place.epoch == HELD_OUT else _phase(self.seed, place.epoch, min(self.size, last + 1))
        return shift + place.index * self.size

    def against(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        """Say where the text is too short to cut windows from."""
        sizes = [len(words(table)) for table in (data.train, data.held_out)]
        if sizes[0] > 2 * self.size and sizes[1] > 1:
            return []
        message = f"the text has {sizes[0]:,} tokens to train on and {sizes[1]:,} held out"
        wanted = f"sequences of {self.size:,} tokens want more than {2 * self.size:,}"
        help_ = f"{wanted}: give more text, or a smaller `train.context`"
        return [("train.context", Diagnostic("R708", message, label="too little text", help=help_))]


def text(table: Table) -> Ragged:
    """Return the documents of a table."""
    column = table.columns["text"]
    assert isinstance(column, Ragged), "text is a column of tokens"
    return column


def words(table: Table) -> NDArray[np.unsignedinteger]:
    """Return the one long text of a table."""
    return text(table).values


def draws(seed: int, place: Place, use: int) -> np.random.Generator:
    """Return the generator of what is drawn for one example; `use` keeps different draws apart."""
    return np.random.default_rng([seed, place.epoch + 1, place.index, use])


@lru_cache(maxsize=4)
def _phase(seed: int, epoch: int, phases: int) -> int:
    return int(np.random.default_rng([seed, epoch, 1]).integers(phases))


def counts(table: Table, vocab: int) -> NDArray[np.int64]:
    """Return how often each word stands in the text."""
    long, found = words(table), np.zeros(vocab, np.int64)
    for start in range(0, len(long), 1 << 22):  # the text may be larger than the memory
        found += np.bincount(long[start : start + (1 << 22)], minlength=vocab)
    return found
