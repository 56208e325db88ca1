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

    def recent(self, x: Tensor, axis: int, window: int) -> Tensor:
        """Put `x` behind the newest `window - 1` positions of earlier forwards, along `axis`; return these and `x`.

        There is room for an eighth of a window more, so that they are moved once in a while alone.
        """
        step = max(window // 8, 16)
        begin = max(0, self.position - window + 1)
        old = max(0, (self.position - window) // step * step)
        new = max(0, (self.position + x.size(axis) - window) // step * step)
        return self.near(x, axis, begin, old, new, window + step - 1)

    def same_chunk(self, x: Tensor, axis: int, size: int) -> Tensor:
        """Put `x` behind what earlier forwards gave since the last multiple of `size`, along `axis`; return both."""
        begin = self.position // size * size
        old = max(0, (self.position - 1) // size * size)
        new = (self.position + x.size(axis) - 1) // size * size
        return self.near(x, axis, begin, old, new, size)

    def near(self, x: Tensor, axis: int, begin: int, old: int, new: int, room: int) -> Tensor:
        """Put `x` behind what earlier forwards gave, along `axis`; return what stands from position `begin` on.

        The entry held positions from `old` on, and will from `new` on. Where that is not the same, it is another one.
        """
        self.ahead = x.size(axis)
        end = self.position + self.ahead
        if end > self.length:
            raise ValueError(f"the cache has room for {self.length}, not {end} positions")
        if self.turn == len(self.entries):
            shape = list(x.shape)
            shape[axis] = min(room, self.length)
            self.entries.append(x.new_empty(shape))
        entry = self.entries[self.turn]
        if new == old:
            entry.narrow(axis, self.position - old, self.ahead).copy_(x)
            x = entry.narrow(axis, begin - old, end - begin)
        else:
            x = torch.cat((entry.narrow(axis, begin - old, self.position - begin), x), dim=axis)
            entry, first = torch.empty_like(entry), max(begin, new)
            entry.narrow(axis, first - new, end - first).copy_(x.narrow(axis, first - begin, end - first))
            self.entries[self.turn] = entry
        self.turn += 1
        return x

    def first_and_recent(self, x: Tensor, axis: int, first: int, window: int) -> Tensor:
        """Put `x` behind the `first` positions and the newest `window - 1` of the others; return all of them."""
        if self.turn == len(self.entries):
            shape = list(x.shape)
            shape[axis] = min(first, self.length)
            self.entries.append(x.new_empty(shape))
        entry = self.entries[self.turn]
        self.turn += 1
        some = min(first - self.position, x.size(axis))
        if some > 0:
            entry.narrow(axis, self.position, some).copy_(x.narrow(axis, 0, some))
        before = max(0, min(first, self.position - window + 1))
        return torch.cat((entry.narrow(axis, 0, before), self.recent(x, axis, window)), dim=axis)

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
