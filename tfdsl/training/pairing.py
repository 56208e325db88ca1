"""Rows of pairs: how sources and targets lie in rows that several of them share, a function of the seed and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
OPEN = 16  # rows that are filled at the same time


@dataclass(slots=True, eq=False)
class Pairing:
    """Pairs in rows with `room` for so many tokens of sources and of targets, as many as fit.

    Pairs come in an order of the epoch's own; each is put where the least room is left, of the rows that are open.
    """

    room: tuple[int, int]
    seed: int
    kept: dict[tuple[int, int], tuple[Numbers, Numbers]] = field(
        default_factory=dict[tuple[int, int], tuple[Numbers, Numbers]]
    )

    def rows(self, lengths_N2: Numbers, epoch: int) -> tuple[Numbers, Numbers]:
        """Return pairs in the order of the rows that hold them, and where each row begins among them.

        The rows of the last few epochs are kept.
        """
        key = (id(lengths_N2), epoch)
        if key not in self.kept:
            while len(self.kept) > 2:
                del self.kept[next(iter(self.kept))]
            turn = np.random.default_rng([self.seed, epoch, 3]).permutation(len(lengths_N2))
            order, bounds = fitted(lengths_N2[turn].tolist(), self.room)
            self.kept[key] = turn[order], bounds
        return self.kept[key]


def fitted(sizes: Sequence[Sequence[int]], room: tuple[int, int]) -> tuple[Numbers, Numbers]:
    """Return pairs in the order of the rows that they are put in, and where each row begins among them.

    A pair that fits none of the open rows opens another, and the one with the least room is closed.
    """
    rows: list[list[int]] = []
    left: list[tuple[int, int, int]] = []  # of each open row: room for sources, for targets, its place
    for piece, (source, target) in enumerate(sizes):
        fits = [each for each in left if each[0] >= source and each[1] >= target]
        if fits:
            best = min(fits, key=lambda each: each[0] + each[1])
            left.remove(best)
        else:
            best = (*room, len(rows))
            rows.append([])
            if len(left) == OPEN:
                left.remove(min(left, key=lambda each: each[0] + each[1]))
        rows[best[2]].append(piece)
        left.append((best[0] - source, best[1] - target, best[2]))
    order = np.array([piece for row in rows for piece in row], dtype=np.int64)
    return order, np.cumsum([0, *map(len, rows)])
