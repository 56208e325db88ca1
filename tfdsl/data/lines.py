"""JSON as a source: a file of lines, each a mapping (JSONL), or one list of mappings."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfdsl.data.source import Listed, Record, Source
from tfdsl.data.text import remedy
from tfdsl.data.values import named
from tfdsl.diagnostics import Diagnostic

STRIDE = 256  # lines between two places that are remembered
BLOCK = 1 << 22
BARE = 64  # bytes of a line that may be blank


class Broken(ValueError):
    """The very first of a file is not what it should be."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Lines(Source):
    """Records, one a line; blank lines are none. The keys of the first are the columns."""

    def __init__(self, path: Path) -> None:
        """Find where the lines begin; raises OSError, and Broken where the first tells no columns."""
        self._path = path
        self._help = 'each line is a JSON mapping, such as `{"text": "…"}`'
        if path.suffix.lower() == ".json":
            self._help += ', or the file is one list of such mappings: `[{"text": "…"}, …]`'
        self._places, self.count, self._blank = _index(path)
        if len(self._blank) == self.count:
            self.count = 0
        first = next(self._each(0, self.count), None)
        if isinstance(first, Diagnostic):
            raise Broken(first)
        self.columns = tuple(first.values) if first is not None else ()

    def absent(self) -> NDArray[np.int64]:
        """Return the lines that are blank."""
        return self._blank

    def files(self) -> Sequence[Path]:
        """Return the file."""
        return (self._path,)

    def read(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        """Yield the lines as mappings, or what is wrong with one."""
        return self._each(first, last)

    def pieces(self, most: int) -> list[tuple[int, int]]:
        """Return stretches of lines of about `most` bytes."""
        size = self._path.stat().st_size
        lines = max(STRIDE, self.count * most // max(1, size) // STRIDE * STRIDE)
        return [(first, min(first + lines, self.count)) for first in range(0, self.count, lines)]

    def _each(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        if first >= last:
            return
        with self._path.open("rb") as file:
            file.seek(self._places[first // STRIDE])
            for number in range(first // STRIDE * STRIDE, last):
                line = file.readline()
                if number >= first and line.strip():
                    yield self._record(number, line)

    def _record(self, number: int, line: bytes) -> Record | Diagnostic:
        place = f"line {number + 1:,} of `{self._path}`"
        try:
            value = json.loads(line.rstrip(b"\r\n"))
        except UnicodeDecodeError as error:
            where = f"byte {error.start:,} of the line"
            return Diagnostic("R742", f"{place} is not UTF-8", label=where, help=remedy(self._path))
        except (ValueError, RecursionError) as error:
            what = "nested too deep" if isinstance(error, RecursionError) else "it has a number of too many digits"
            if isinstance(error, json.JSONDecodeError):
                what = f"{error.msg}, column {error.colno:,}"
            return Diagnostic("R742", f"{place} is not JSON: {what.lower()}", label="a broken line", help=self._help)
        if not isinstance(value, dict):
            message = f"{place} is {named(value)}, not a mapping"
            return Diagnostic("R742", message, label="a broken line", help=self._help)
        return Record(number, place, value)


def listed(path: Path) -> Listed:
    """Return the records of a file that is one list of mappings; raises OSError and Broken."""
    try:
        value: Any = json.loads(path.read_bytes())
    except UnicodeDecodeError as error:
        where = f"byte {error.start:,} is {error.object[error.start]:#04x}"
        raise Broken(Diagnostic("R742", f"`{path}` is not UTF-8", label=where, help=remedy(path))) from None
    except (ValueError, RecursionError) as error:
        said = error.msg.lower() if isinstance(error, json.JSONDecodeError) else "nested too deep, or a number too long"
        where = f"line {error.lineno:,}" if isinstance(error, json.JSONDecodeError) else ""
        raise Broken(Diagnostic("R742", f"`{path}` is not JSON: {said}", label=where)) from None
    wrong = next((place for place, each in enumerate(value) if not isinstance(each, dict)), None)
    if wrong is not None:
        message = f"example {wrong} of `{path}` is {named(value[wrong])}, not a mapping"
        raise Broken(Diagnostic("R742", message, label="a broken example"))
    return Listed(tuple(value[0]) if value else (), value, str(path), paths=(path,))


def is_list(path: Path) -> bool:
    """Return whether a file of JSON is one list; raises OSError."""
    with path.open("rb") as file:
        return file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"["


def _index(path: Path) -> tuple[list[int], int, NDArray[np.int64]]:
    """Return where every `STRIDE`-th line begins, how many lines there are, and which of them are blank."""
    places, count, at = [0], 0, 0
    ended = True
    last, blank = b"", [np.zeros(0, np.int64)]  # the line that a block begins within
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            breaks = np.flatnonzero(np.frombuffer(block, np.uint8) == 10)
            chosen = breaks[(STRIDE - 1 - count % STRIDE) :: STRIDE]
            places += (chosen + at + 1).tolist()
            bare, last = _bare(last, block, breaks)
            blank.append(bare + count)
            count, at, ended = count + len(breaks), at + len(block), block.endswith(b"\n")
    if not ended and not last.strip():
        blank.append(np.array([count]))
    return places, count + (not ended), np.concatenate(blank)


def _bare(last: bytes, block: bytes, breaks: NDArray[np.int64]) -> tuple[NDArray[np.int64], bytes]:
    """Return which lines that end in a block are blank, and what follows the last; `last` stands before the first."""
    if not len(breaks):
        return np.zeros(0, np.int64), last + block
    sizes = np.diff(breaks, prepend=-1) - 1
    short = np.flatnonzero(sizes < BARE)
    bare = [each for each in short.tolist() if not block[breaks[each] - sizes[each] : breaks[each]].strip()]
    if last.strip() and bare[:1] == [0]:
        bare = bare[1:]
    return np.array(bare, np.int64), block[breaks[-1] + 1 :]
