"""reader: what the sampler asks of a model that writes, whatever its kind and however it is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class Reader(Protocol):
    """Rows of tokens that a model has read, and what it keeps of them: it reads on, goes back, and leaves rows.

    All rows have read as many positions; of rows of different lengths the shorter ones begin with padding, which
    nothing sees.
    """

    @property
    def rows(self) -> int:
        """Return how many rows are read at once."""
        ...

    @property
    def left(self) -> int | None:
        """Return how many positions can still be read; None where there is no limit."""
        ...

    def read(self, tokens_BT: Tensor, last: int = 1) -> Tensor:
        """Read tokens behind those that were read; return float32 logits [B, last, V] at the last positions."""
        ...

    def pick(self, rows_N: Tensor) -> None:
        """Go on with these rows, in this order; a row may be left out, or taken more than once."""
        ...

    def mark(self) -> None:
        """Remember this place: what is read from here on may be forgotten, until rows are picked."""
        ...

    def back(self, count: int) -> None:
        """Forget the last `count` positions that were read since the last `mark`."""
        ...


class Opener(Protocol):
    """Begin to read: each call makes a reader of its own."""

    def __call__(self, prompts: Sequence[Sequence[int]], room: int) -> tuple[Reader, Tensor]:
        """Read prompts of one or more tokens each; return the reader and float32 logits [B, V] of what comes next.

        `room` is the number of positions that there is to be room for, those of the longest prompt among them.
        """
        ...
