"""Rows of text: how documents lie in the rows that a model reads, a function of the seed and the epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfdsl.data.table import Ragged
from tfdsl.training.crossentropy import IGNORED
from tfdsl.training.task import HELD_OUT, Place

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Tokens [B, T] and the token that follows each in its document, `IGNORED` where none does.

    `documents` says which document each position belongs to, where the model is to know; `keep` which positions are
    text, where some are filling.
    """

    tokens: Tensor
    targets: Tensor
    documents: Tensor | None = None
    keep: Tensor | None = None

    @property
    def count(self) -> int:
        """Return how many targets count."""
        return int((self.targets != IGNORED).sum())


@dataclass(slots=True, eq=False)
class Packing(ABC):
    """A way to lay documents into rows of `context` tokens.

    `apart` says whether the model is told which document a position belongs to; no token is then foretold by another
    document. `pad` is what rows are filled up with.
    """

    context: int
    seed: int
    apart: bool = False
    pad: int = 0

    @abstractmethod
    def examples(self, text: Ragged, epoch: int) -> int:
        """Return how many rows an epoch has."""

    @abstractmethod
    def rows(self, text: Ragged, places: Sequence[Place]) -> Rows:
        """Return the rows at `places`."""

    def tells(self, text: Ragged) -> bool:
        """Return whether some token follows another."""
        return not self.apart or bool((np.diff(text.offsets) > 1).any())

    @abstractmethod
    def least(self) -> int:
        """Return how many tokens there must be more than, to train on."""


@dataclass(slots=True, eq=False)
class Cut(Packing):
    """Windows anywhere over one long text, which begins at a random phase each epoch."""

    def least(self) -> int:
        return 2 * self.context

    def examples(self, text: Ragged, epoch: int) -> int:
        length = len(text.values) - 1
        return -(-length // self.context) if epoch == HELD_OUT else max(1, length // self.context - 1)

    def rows(self, text: Ragged, places: Sequence[Place]) -> Rows:
        last = len(text.values) - 1
        starts = np.array([self._phase(each.epoch, last) + each.index * self.context for each in places])
        at = starts[:, None] + np.arange(self.context + 1)
        tokens = torch.from_numpy(text.values[np.minimum(at, last)].astype(np.int64))
        targets = tokens[:, 1:].clone()
        if at.max() > last:  # the end of the held-out text is shorter than a window
            targets[torch.from_numpy(at[:, 1:] > last)] = IGNORED
        documents = None
        if self.apart:
            numbers = torch.from_numpy(np.searchsorted(text.offsets, at, side="right"))
            targets[numbers[:, 1:] != numbers[:, :-1]] = IGNORED
            documents = numbers[:, :-1].contiguous()
        return Rows(tokens[:, :-1].contiguous(), targets, documents)

    def _phase(self, epoch: int, last: int) -> int:
        return 0 if epoch == HELD_OUT else _phase(self.seed, epoch, min(self.context, last + 1 - self.context))


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    """Pieces of text in rows: row i holds `order[bounds[i] : bounds[i + 1]]`, each from `first` on, `sizes` long."""

    first: Numbers
    sizes: Numbers
    order: Numbers
    bounds: Numbers


@dataclass(slots=True, eq=False)
class Whole(Packing):
    """Whole documents, of which several share a row where the model is told (`apart`), else each has its own.

    Documents are put where the least room is left, the longest first. One that is longer than a row is cut into full
    rows and a rest. The last token of a document is not read: nothing follows that it could foretell.
    """

    kept: dict[tuple[int, int], _Laid] = field(default_factory=dict[tuple[int, int], _Laid])

    def least(self) -> int:
        return 1

    def tells(self, text: Ragged) -> bool:
        return bool((np.diff(text.offsets) > 1).any())

    def examples(self, text: Ragged, epoch: int) -> int:
        return len(self._laid(text, epoch).bounds) - 1

    def rows(self, text: Ragged, places: Sequence[Place]) -> Rows:
        shape = (len(places), self.context)
        tokens, targets = np.full(shape, self.pad, dtype=np.int64), np.full(shape, IGNORED, dtype=np.int64)
        documents = np.zeros(shape, dtype=np.int64)  # the filling is a document of its own, with the number 0
        for row, place in enumerate(places):
            laid, at = self._laid(text, place.epoch), 0
            members = laid.order[laid.bounds[place.index] : laid.bounds[place.index + 1]]
            for number, piece in enumerate(members, start=1):
                start, size = int(laid.first[piece]), int(laid.sizes[piece])
                tokens[row, at : at + size] = text.values[start : start + size]
                targets[row, at : at + size] = text.values[start + 1 : start + size + 1]
                documents[row, at : at + size] = number
                at += size
        found = [torch.from_numpy(each) for each in (tokens, targets, documents)]
        return Rows(found[0], found[1], found[2] if self.apart else None, found[2] > 0)

    def _laid(self, text: Ragged, epoch: int) -> _Laid:
        """Return how an epoch's rows are laid; those of the last few epochs are kept."""
        key = (id(text.values), epoch)
        if key not in self.kept:
            while len(self.kept) > 2:
                del self.kept[next(iter(self.kept))]
            self.kept[key] = self._lay(text.offsets, epoch)
        return self.kept[key]

    def _lay(self, offsets: Numbers, epoch: int) -> _Laid:
        first, sizes = pieces(offsets, self.context)
        if epoch == HELD_OUT:
            turn = np.arange(len(sizes))
        else:
            turn = np.random.default_rng([self.seed, epoch, 2]).permutation(len(sizes))
        if not self.apart:
            return _Laid(first, sizes, turn, np.arange(len(sizes) + 1))
        by_size = turn[np.argsort(-sizes[turn], kind="stable")]  # those of one length in an order of this epoch's own
        order, bounds = fitted(sizes[by_size].tolist(), self.context)
        return _Laid(first, sizes, by_size[order], bounds)


def pieces(offsets: Numbers, context: int) -> tuple[Numbers, Numbers]:
    """Return where each piece of a document begins, and how many tokens of it are read: at most `context`."""
    lengths = np.diff(offsets) - 1  # the last token of a document foretells nothing
    counts = np.maximum(-(-lengths // context), 0)
    owner = np.repeat(np.arange(len(lengths)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return offsets[owner] + within * context, np.minimum(lengths[owner] - within * context, context)


def fitted(sizes: Sequence[int], room: int) -> tuple[Numbers, Numbers]:
    """Return pieces in the order of the rows that they are put in, and where each row begins among them.

    Each piece goes where the least room is left for it (best fit), in a new row where there is none.
    """
    rows: list[list[int]] = []
    open_: list[list[int]] = [[] for _ in range(room + 1)]  # the rows that have so much room
    has = 0  # bit n is set where a row has room for n
    for piece, size in enumerate(sizes):
        fits = has >> size
        if fits:
            left = size + (fits & -fits).bit_length() - 1
            row = open_[left].pop()
            if not open_[left]:
                has &= ~(1 << left)
            rows[row].append(piece)
        else:
            left, row = room, len(rows)
            rows.append([piece])
        if left > size:
            open_[left - size].append(row)
            has |= 1 << (left - size)
    order = np.array([piece for row in rows for piece in row], dtype=np.int64)
    return order, np.cumsum([0, *map(len, rows)])


@lru_cache(maxsize=4)
def _phase(seed: int, epoch: int, phases: int) -> int:
    return int(np.random.default_rng([seed, epoch, 1]).integers(phases))
