"""The order of the examples: a function of the seed and the step, the same for any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tfdsl.training.task import HELD_OUT, Place

POOL = 64  # passes whose examples are put in order of length together


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """How long each example is, and how many `rows` make a pass: those of a pass are to be of like length."""

    of: NDArray[np.int64]
    rows: int


def places(
    count: Callable[[int], int], seed: int, first: int, last: int, lengths: Lengths | None = None
) -> list[Place]:
    """Return the examples from the `first` to before the `last` that a run sees, counted from its start.

    Each epoch visits its `count(epoch)` examples once, in an order of its own. With `lengths` examples of like length
    come in the same pass, and passes of all lengths in turn.
    """
    found: list[Place] = []
    begun, epoch = 0, 0
    each = count(0)
    if each == count(1):  # epochs of one length need no walk through those gone by
        epoch = first // each
        begun = epoch * each
    while begun < last:
        size = count(epoch)
        if begun + size > first:
            order = _order(seed, epoch, size) if lengths is None else _alike(seed, epoch, begun, lengths)
            found += [Place(epoch, int(order[at - begun])) for at in range(max(first, begun), min(last, begun + size))]
        begun, epoch = begun + size, epoch + 1
    return found


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(size)


@lru_cache(maxsize=2)
def _alike(seed: int, epoch: int, begun: int, lengths: Lengths) -> NDArray[np.int64]:
    """Return an order whose passes hold examples of like length; passes begin at whole numbers of rows of the run."""
    order, rows = _order(seed, epoch, len(lengths.of)), lengths.rows
    head = min(-begun % rows, len(order))  # what fills the pass that the epoch before has begun
    full = head + (len(order) - head) // rows * rows
    passes = [
        chunk[np.argsort(lengths.of[chunk], kind="stable")].reshape(-1, rows)
        for chunk in np.split(order[head:full], range(POOL * rows, full - head, POOL * rows))
    ]
    mixed = np.random.default_rng([seed, epoch, 2]).permutation(np.concatenate(passes))
    return np.concatenate((order[:head], mixed.reshape(-1), order[full:]))


def held_out(size: int, rows: int, most: int | None = None, processes: int = 1) -> Iterator[list[Place]]:
    """Yield the `size` held-out examples in batches of about `rows`, each with one or more for each of the `processes`.

    `most` of them, where there are more, are spread evenly.
    """
    chosen = np.arange(size) if most is None or most >= size else np.arange(most) * size // most
    batches = max(1, min(-(-len(chosen) // rows), len(chosen) // processes))
    for each in range(batches):
        part = chosen[each * len(chosen) // batches : (each + 1) * len(chosen) // batches]
        yield [Place(HELD_OUT, int(index)) for index in part]


def share(rows: list[Place], rank: int, count: int) -> list[Place]:
    """Return the part of a pass that the process `rank` of `count` takes: as even as can be, in order."""
    return rows[rank * len(rows) // count : (rank + 1) * len(rows) // count]
