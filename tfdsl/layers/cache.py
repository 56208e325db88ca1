"""cache: what attention keeps of the positions it has seen, so that a new position costs one."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from tfdsl.layers.masks import causal_table


class Cache:
    """What attention keeps between forwards: each call takes the next entry in turn.

    `position` counts the positions seen so far; there is room for `length`.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.position = 0
        self.entries: list[Tensor] = []
        self.turn = 0
        self.ahead = 0

    def extend(self, x: Tensor, axis: int) -> Tensor:
        """Put `x` behind what earlier forwards gave, along `axis`; return all of it."""
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

    def once(self, make: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
        """Return what `make` gave at the first forward."""
        if self.turn == len(self.entries):
            self.entries.append(make(*inputs))
        self.turn += 1
        return self.entries[self.turn - 1]

    def lower_right(self, x_BTD: Tensor) -> Tensor | None:
        """Return the mask for several positions behind earlier ones; one sees all."""
        if self.position == 0 or x_BTD.size(1) == 1:
            return None
        return causal_table(x_BTD, self.position)

    def advance(self) -> None:
        """End a forward: its positions are behind us."""
        self.position += self.ahead
        self.turn = 0


def once(cache: Cache | None, make: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    """Return `make(*inputs)`; with a cache, what it gave at the first forward."""
    return make(*inputs) if cache is None else cache.once(make, *inputs)
