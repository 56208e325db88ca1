"""Examples as arrays: tables of columns, which may lie on disk and be mapped into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Arrays of different lengths in a row: example i is `values[offsets[i] : offsets[i + 1]]`."""

    values: Array
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, place: int) -> Array:
        return self.values[self.offsets[place] : self.offsets[place + 1]]


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """Arrays of one shape, or numbers: example i is `values[i]`."""

    values: Array

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: int) -> Array:
        return self.values[place]


Column = Ragged | Fixed


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Examples by the names of their fields; all columns are of one length.

    `sizes` holds, of each column of tokens, how many bytes of UTF-8 the text has that it was.
    """

    columns: Mapping[str, Column]
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Examples ready to train on: those to learn from, those held out, and what made numbers of them.

    `labels` are the names of the classes, by number; `digest` is the SHA-256 of all that the tables hold.
    """

    train: Table
    held_out: Table
    tokenizer: Tokenizer | None = None
    labels: tuple[str, ...] = ()
    digest: str = ""


def windows(values: Array, starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return the `length` tokens from each of `starts` on, [starts, length]; the last one again behind the end."""
    if len(starts) and int(starts.max()) + length <= len(values):
        # Rows are copied whole: four times as fast as a table of places (1,024 tokens a row).
        return np.lib.stride_tricks.sliding_window_view(values, length)[starts].astype(np.int64)
    return values[np.minimum(starts[:, None] + np.arange(length), len(values) - 1)].astype(np.int64)
