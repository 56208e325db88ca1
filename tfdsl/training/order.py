"""The order of the examples: a function of the seed and the step, the same for any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tfdsl.training.task import HELD_OUT, Place


def places(count: Callable[[int], int], seed: int, first: int, last: int) -> list[Place]:
    """Return the examples from the `first` to before the `last` that a run sees, counted from its start.

    Each epoch visits its `count(epoch)` examples once, in an order of its own.
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
            order = _order(seed, epoch, size)
            found += [Place(epoch, int(order[at - begun])) for at in range(max(first, begun), min(last, begun + size))]
        begun, epoch = begun + size, epoch + 1
    return found


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(size)


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
