"""cache: what layers keep of the positions they have seen, so that a new position costs one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tfdsl.layers.documents import newest
from tfdsl.layers.masks import causal_table


class Cache:
    """What layers keep between forwards: each takes the next entry in turn.

    `position` counts the positions seen so far.
    """

    def __init__(self, length: int, parted: bool = False) -> None:
        self.length = length
        self.position = 0
        self.entries: list[Any] = []
        self.turn = 0
        self.ahead = 0
        if parted:
            # Whether rows hold several documents: the first forward says so.
            self.parted: bool | None = None

    def extend(self, x: Tensor, axis: int) -> Tensor:
        """Put `x` behind what earlier forwards gave, along `axis`; return all of it.

        There is room for `length` positions.
        """
        self.ahead = x.size(axis)
        end = self.position + self.ahead
        if end > self.length:
            raise ValueError(f"the cache has room for {self.length}, not {end} positions")
        if self.turn == len(self.entries):
            shape = list(x.shape)
            shape[axis] = self.length
            self.entries.append(x.new_empty(shape))
        entry = self.entries[self.turn]
        self.turn += 1
        entry.narrow(axis, self.position, self.ahead).copy_(x)
        return entry.narrow(axis, 0, end)

    def tail(self, x: Tensor, axis: int, count: int) -> Tensor:
        """Put the last `count` positions of earlier forwards before `x`, along `axis`.

        Zeros stand before the first position.
        """
        self.ahead = x.size(axis)
        if self.turn == len(self.entries):
            shape = list(x.shape)
            shape[axis] = count
            self.entries.append(x.new_zeros(shape))
        x = torch.cat((self.entries[self.turn], x), dim=axis)
        self.put(x.narrow(axis, self.ahead, count).clone())
        return x

    def state(self, x_BTD: Tensor) -> Tensor | None:
        """Return what was put here by the last forward; nothing at the first.

        `x_BTD` says how many positions this forward has. What it leaves is to be `put`.
        """
        self.ahead = x_BTD.size(1)
        return self.entries[self.turn] if self.turn < len(self.entries) else None

    def put(self, entry: Tensor) -> None:
        """Keep `entry` for the next forward, in place of what was kept."""
        if self.turn == len(self.entries):
            self.entries.append(entry)
        else:
            self.entries[self.turn] = entry
        self.turn += 1

    def once(self, make: Callable[..., Any], *inputs: Tensor | None) -> Any:
        """Return what `make` gave at the first forward."""
        if self.turn == len(self.entries):
            self.entries.append(make(*inputs))
        self.turn += 1
        return self.entries[self.turn - 1]

    def documents(self, documents_BT: Tensor | None, x_BT: Tensor) -> Tensor | None:
        """Return where the document of each position so far begins: (B, S); None where a row is one document.

        Positions that come without numbers go on with the document before them.
        """
        told = documents_BT is not None
        if self.position == 0 and self.parted is None:
            self.parted = told
        if told != self.parted and (told or self.position == 0):
            raise ValueError("numbers of documents come from the first forward on, or not at all")
        if not self.parted:
            return None
        if documents_BT is None:
            self.turn += 1
            last_B1 = self.entries[self.turn].narrow(1, self.position - 1, 1)
            return self.extend(last_B1.expand(x_BT.shape[:2]), 1)
        begin_BT = newest(documents_BT, self.position)
        if self.position > 0:
            last_B1 = self.entries[self.turn + 1].narrow(1, self.position - 1, 1)
            same_B1 = documents_BT[:, :1] == self.entries[self.turn].gather(1, last_B1)
            begin_BT = torch.where(same_B1 & (begin_BT == self.position), last_B1, begin_BT)
        self.extend(documents_BT, 1)
        return self.extend(begin_BT, 1)

    def cut(self, place_BT: Tensor) -> None:
        """Leave of the tail that was kept last what is of the last document, whose newest place is the last one."""
        entry = self.entries[self.turn - 1]
        back_S = torch.arange(entry.size(1) - 1, -1, -1, device=entry.device)
        other_BS1 = (place_BT[:, -1:] < back_S).unsqueeze(-1)
        self.entries[self.turn - 1] = entry.masked_fill(other_BS1, 0)

    def lower_right(self, x_BTD: Tensor) -> Tensor | None:
        """Return the mask for several positions behind earlier ones; one sees all."""
        if self.position == 0 or x_BTD.size(1) == 1:
            return None
        return causal_table(x_BTD, self.position)

    def advance(self) -> None:
        """End a forward: its positions are behind us."""
        self.position += self.ahead
        self.turn = 0


def once(cache: Cache | None, make: Callable[..., Any], *inputs: Tensor | None) -> Any:
    """Return `make(*inputs)`; with a cache, what it gave at the first forward."""
    return make(*inputs) if cache is None else cache.once(make, *inputs)
