"""Where examples come from: the question that preparing them asks of a file, a folder or a built-in set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby
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

    def narrow(self, columns: Sequence[str]) -> Source:
        """Return the source with these columns at least, which alone will be asked for."""
        return self

    def files(self) -> Sequence[Path]:
        """Return the files that the examples are read from."""
        return ()

    def lacking(self, column: str) -> tuple[Path, ...]:
        """Return the files that do not have a column."""
        return () if column in self.columns else tuple(self.files())

    def otherwise(self, column: str) -> tuple[Path, ...]:
        """Return the files that number the classes of a column otherwise than others of them do."""
        return ()

    def absent(self) -> NDArray[np.int64]:
        """Return which of the `count` are no records: blank lines."""
        return np.zeros(0, np.int64)

    def apart(self, share: float) -> NDArray[np.bool_]:
        """Return which records are held out: the `share` of them, evenly spread, and one at least."""
        chosen = np.zeros(self.count, bool)
        there = np.delete(np.arange(self.count), self.absent())
        chosen[there] = spread(len(there), share)
        return chosen

    def pieces(self, most: int) -> list[tuple[int, int]]:
        """Return stretches of records that may be prepared apart, each of about `most` bytes."""
        return [(0, self.count)]


GOLDEN = 0.6180339887498949  # its multiples, less their whole parts, fall in step with no order of the records


def spread(count: int, share: float) -> NDArray[np.bool_]:
    """Return which of `count` are set apart: the `share` of them, evenly spread but not in step, and one at least."""
    many = min(count, max(1, int(count * share + 1e-9)))
    edges = np.arange(many + 1) * count // max(1, many)
    places = edges[1:] - 1 - (np.arange(many) * GOLDEN % 1 * np.diff(edges)).astype(np.int64)
    chosen = np.zeros(count, bool)
    chosen[places] = True
    return chosen


@dataclass(frozen=True, eq=False)
class Listed(Source):
    """Examples that are held as a list; those of one group (all in a row) are held out together."""

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    name: str = ""
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    groups: tuple[int, ...] = ()
    paths: tuple[Path, ...] = ()

    @property
    def count(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return len(self.rows)

    def read(self, first: int, last: int) -> Iterator[Record]:
        """Yield the rows."""
        for unit in range(first, last):
            yield Record(unit, f"example {unit} of `{self.name}`", self.rows[unit])

    def files(self) -> Sequence[Path]:
        """Return the files that the list was read from."""
        return self.paths

    def apart(self, share: float) -> NDArray[np.bool_]:
        """Return which rows are held out: whole groups, where there are groups."""
        if not self.groups:
            return spread(self.count, share)
        marks, held, seen = [], 0, 0
        for _, rows in groupby(self.groups):
            size = len(list(rows))
            chosen = held + size / 2 <= share * (seen + size)  # as near to the share as whole groups come
            marks += [chosen] * size
            held, seen = held + size * chosen, seen + size
        return np.array(marks, bool)


class Joined(Source):
    """Sources of tables, one behind the other, with the columns of all."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._starts = [0, *accumulate(source.count for source in sources)]
        self.columns = tuple(dict.fromkeys(name for source in sources for name in source.columns))
        self.classes = {name: names for source in reversed(sources) for name, names in source.classes.items()}
        self.count = self._starts[-1]

    def narrow(self, columns: Sequence[str]) -> Source:
        """Return the sources with these columns at least."""
        return Joined([source.narrow(columns) for source in self._sources])

    def lacking(self, column: str) -> tuple[Path, ...]:
        """Return the files that have another column in place of this one, by their first examples."""
        return tuple(path for source in self._sources for path in source.lacking(column))

    def otherwise(self, column: str) -> tuple[Path, ...]:
        """Return the files that number the classes of a column otherwise than the first does."""
        known = self.classes.get(column, ())
        return tuple(each.files()[0] for each in self._sources if each.classes.get(column, known) != known)

    def absent(self) -> NDArray[np.int64]:
        """Return the blank lines of each."""
        found = [source.absent() + start for source, start in zip(self._sources, self._starts, strict=False)]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def files(self) -> Sequence[Path]:
        """Return the files of all."""
        return [path for source in self._sources for path in source.files()]

    def read(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        """Yield the records, counted through."""
        for source, start in zip(self._sources, self._starts, strict=False):
            for each in source.read(max(0, first - start), min(source.count, last - start)):
                yield replace(each, unit=each.unit + start) if isinstance(each, Record) else each

    def pieces(self, most: int) -> list[tuple[int, int]]:
        """Return the stretches of each."""
        return [
            (first + start, last + start)
            for source, start in zip(self._sources, self._starts, strict=False)
            for first, last in source.pieces(most)
        ]


@dataclass(frozen=True, slots=True)
class Found:
    """A source, and the one that it brings to be held out, where it does; or what stands in the way."""

    source: Source | None
    held_out: Source | None = None
    problems: tuple[Diagnostic, ...] = ()
    remarks: tuple[Diagnostic, ...] = ()  # what is worth a word where nothing stands in the way
