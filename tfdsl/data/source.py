"""Where examples come from: the question that preparing them asks of a file, a folder or a built-in set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfdsl.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class Record:
    """An example, or a piece of a long text; `place` is what people call it, `ends` says that the example ends here.

    `unit` counts the records of a source, broken ones too.
    """

    unit: int
    place: str
    values: Mapping[str, Any]
    ends: bool = True


class Source(ABC):
    """Examples in an order of their own, read from any of them on; nothing is held that does not have to be."""

    columns: tuple[str, ...]
    count: int  # of records
    classes: Mapping[str, tuple[str, ...]] = {}  # names of the classes of a column of labels, by number

    @abstractmethod
    def read(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        """Yield the records from `first` to before `last`, and what is wrong with those that cannot be read."""

    def files(self) -> Sequence[Path]:
        """Return the files that the examples are read from."""
        return ()

    def apart(self, share: float) -> NDArray[np.bool_]:
        """Return which records are held out: the `share` of them, evenly spread, and one at least."""
        share = max(share, 1.0 / max(1, self.count))
        marks = np.floor(np.arange(self.count + 1) * share + 1e-9).astype(np.int64)
        chosen = np.diff(marks) > 0
        if self.count and not chosen.any():
            chosen[-1] = True
        return chosen

    def pieces(self, most: int) -> list[tuple[int, int]]:
        """Return stretches of records that may be prepared apart, each of about `most` bytes."""
        return [(0, self.count)]


@dataclass(frozen=True, eq=False)
class Listed(Source):
    """Examples that are held as a list."""

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    name: str = ""
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def count(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return len(self.rows)

    def read(self, first: int, last: int) -> Iterator[Record]:
        """Yield the rows."""
        for unit in range(first, last):
            yield Record(unit, f"example {unit} of `{self.name}`", self.rows[unit])


@dataclass(frozen=True, slots=True)
class Found:
    """A source, and the one that it brings to be held out, where it does; or what stands in the way."""

    source: Source | None
    held_out: Source | None = None
    problems: tuple[Diagnostic, ...] = ()
