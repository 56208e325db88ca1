"""CSV and TSV as a source: the first line names the columns, and each record below it is an example."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from tfdsl.data.lines import Broken
from tfdsl.data.source import Record, Source
from tfdsl.data.text import WIDE, remedy
from tfdsl.diagnostics import Diagnostic

TABS = frozenset({".tsv", ".tab"})
SUFFIXES = TABS | {".csv"}
STRIDE = 256  # records between two places that are remembered
MOST = 1 << 30  # letters of a cell: long texts are cells too
RENAME = "give each column a name of its own in the first line, or take one of them out"
QUOTING = 'a cell with a quote, a separator or a line break in it stands in quotes, its own doubled: `"say ""hi"""`'
Cells = list[str]


class Delimited(Source):
    """Records of cells (RFC 4180), which may be quoted and then go over several lines; blank lines are none.

    Cells are parted by tabs in `.tsv`, else by what parts the most names in the first line: commas, semicolons, tabs or
    bars. The text is UTF-8, or UTF-16 with its mark.
    """

    def __init__(self, path: Path) -> None:
        """Find where the records begin; raises OSError, and Broken where the first line tells no columns."""
        self._path = path
        self._text = _widened(path)
        self._separator = "\t" if path.suffix.lower() in TABS else self._guessed()
        self.columns: tuple[str, ...] = ()
        self._places: list[tuple[int, int]] = []
        self.count = self._index()

    def files(self) -> Sequence[Path]:
        """Return the file."""
        return (self._path,)

    def read(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        """Yield the records by the names of their columns, or what is wrong with one."""
        if first >= last:
            return
        unit = first // STRIDE * STRIDE
        for line, cells, _ in self._records(*self._places[first // STRIDE]):
            if unit >= last:
                return
            if unit >= first:
                yield self._record(unit, line, cells)
            unit += 1

    def pieces(self, most: int) -> list[tuple[int, int]]:
        """Return stretches of records of about `most` bytes."""
        size = max(1, self._path.stat().st_size)
        records = max(STRIDE, self.count * most // size // STRIDE * STRIDE)
        return [(first, min(first + records, self.count)) for first in range(0, self.count, records)]

    def _index(self) -> int:
        """Take the columns, remember where every `STRIDE`-th record begins, and return how many there are."""
        count = -1
        for line, cells, behind in self._records(0, 0):
            if count < 0:
                self.columns = self._header(line, cells)
            count += 1
            if count % STRIDE == 0:
                self._places.append(behind)
        return max(0, count)

    def _header(self, line: int, cells: Cells | str) -> tuple[str, ...]:
        """Return the names of the columns; raises Broken."""
        if isinstance(cells, str):
            raise Broken(self._broken(line, cells))
        names = tuple(cell.strip() or f"column {at}" for at, cell in enumerate(cells, 1))
        twice = next((name for name in names if names.count(name) > 1), None)
        if _unsound(cells) or twice is not None or any("\0" in name for name in names):
            what = f"names the column `{twice}` twice" if twice is not None else "is not UTF-8"
            raise Broken(self._broken(line, what))
        return names

    def _record(self, unit: int, line: int, cells: Cells | str) -> Record | Diagnostic:
        if isinstance(cells, str):
            return self._broken(line, cells)
        if len(cells) != len(self.columns):
            many = "1 cell" if len(cells) == 1 else f"{len(cells):,} cells"
            return self._broken(line, f"has {many}, and the first line names {len(self.columns):,}")
        if _unsound(cells):
            return self._broken(line, "is not UTF-8")
        return Record(unit, f"line {line + 1:,} of `{self._path}`", dict(zip(self.columns, cells, strict=True)))

    def _broken(self, line: int, what: str) -> Diagnostic:
        help_ = remedy(self._path) if what.endswith("UTF-8") else RENAME if what.endswith("twice") else QUOTING
        message = f"line {line + 1:,} of `{self._path}` {what}"
        return Diagnostic("R742", message, label="a broken line", help=help_)

    def _records(self, at: int, line: int) -> Iterator[tuple[int, Cells | str, tuple[int, int]]]:
        """Yield each record from byte `at` on, which is in `line`: where it begins, its cells, and where it ends.

        In place of its cells there is what is wrong with it.
        """
        csv.field_size_limit(MOST)
        with self._opened() as file:
            lines = _Lines(file, at, line)
            reader = csv.reader(lines, delimiter=self._separator, strict=True)
            while True:
                begun, found = lines.line, None
                try:
                    found = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield begun, _said(error), (lines.at, lines.line)
                if found:
                    yield begun, found, (lines.at, lines.line)

    def _opened(self) -> BinaryIO:
        return self._path.open("rb") if self._text is None else io.BytesIO(self._text)

    def _guessed(self) -> str:
        with self._opened() as file:
            bare = re.sub(rb'"[^"]*"', b"", file.readline()).decode(errors="replace")
        return max(",;\t|", key=bare.count)


class _Lines:
    """The lines of a file as text, counted: `at` is the byte behind them. What is no UTF-8 becomes surrogates."""

    def __init__(self, file: BinaryIO, at: int, line: int) -> None:
        self._file, self.at, self.line = file, at, line
        file.seek(at)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        read = self._file.readline()
        if not read:
            raise StopIteration
        text = (read if self.at else read.removeprefix(codecs.BOM_UTF8)).decode(errors="surrogateescape")
        self.at, self.line = self.at + len(read), self.line + 1
        return text


def _widened(path: Path) -> bytes | None:
    """Return the text of a file of UTF-16 as UTF-8; None where it is none. Raises OSError and Broken."""
    with path.open("rb") as file:
        if file.read(2) not in WIDE:
            return None
    try:
        return path.read_bytes().decode("utf-16").encode()
    except UnicodeDecodeError:
        raise Broken(Diagnostic("R742", f"`{path}` begins as UTF-16 and is not", help="save it as UTF-8")) from None


def _unsound(cells: Cells) -> bool:
    """Return whether bytes were read that are no UTF-8."""
    return any(not cell.isascii() and any("\udc80" <= letter <= "\udcff" for letter in cell) for cell in cells)


def _said(error: csv.Error) -> str:
    """Return in our words what is wrong with a record."""
    told = str(error)
    if "end of data" in told:
        return "opens a quote that is never closed"
    if "expected after" in told:
        return "goes on behind a closing quote"
    return "has a line end that is not one of its own" if "new-line" in told else f"is no record of cells: {told}"
