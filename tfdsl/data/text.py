"""Text as a source: a file, a folder, or the Python standard library, read in pieces."""

from __future__ import annotations

import codecs
import os
import re
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tfdsl.data.source import Record, Source
from tfdsl.diagnostics import Diagnostic

SKIPPED = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "lib2to3"})
PIECE = 1 << 22  # bytes that are held at once
WINDOW = 1 << 16  # bytes at the end of a piece where its last line break is looked for
JUNK = ("Thumbs.db", "desktop.ini")  # what a system puts into folders; on others such files are hidden
BOM = "\ufeff"  # what some programs begin a file of UTF-8 with: no part of the text
BLANK = 1 << 12  # a longer file is taken for text that is not blank


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the bytes of a file."""

    path: Path
    first: int
    last: int
    ends: bool


class Text(Source):
    """Documents, each a file; a long one is read in pieces, line by line. Of a lone one the tail is held out."""

    columns = ("text",)

    def __init__(self, paths: Sequence[Path], share: float | None = None, strict: bool = True) -> None:
        """Take the files that are not blank, and without `strict` skip what is not text.

        `share` is how much of a lone one will be held out.
        """
        kept = [path for path in paths if not _blank(path)]
        self._strict = strict
        self._lone: int | None = None
        cuts: list[tuple[Path, list[int], int | None]] = []
        for path in kept:
            cut = _cut(path, share) if share is not None and len(kept) == 1 else None
            cuts.append((path, _breaks(path, cut), cut))
        self._pieces: list[Piece] = []
        for path, breaks, cut in cuts:
            for first, last in pairwise(breaks):
                self._pieces.append(Piece(path, first, last, last in (breaks[-1], cut)))
                if last == cut:
                    self._lone = len(self._pieces)
        self._documents = len(kept)
        self.count = len(self._pieces)

    def files(self) -> Sequence[Path]:
        """Return the files, each once."""
        return list(dict.fromkeys(piece.path for piece in self._pieces))

    def read(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        """Yield the pieces as text, or what is wrong with a file that is not UTF-8 or cannot be read."""
        for unit in range(first, last):
            piece = self._pieces[unit]
            text = _read(piece)
            if isinstance(text, str):
                if text:
                    yield Record(unit, f"`{piece.path}`", {"text": text}, piece.ends)
            elif self._strict:
                yield text

    def apart(self, share: float) -> NDArray[np.bool_]:
        """Return which pieces are held out: whole documents, evenly spread; the tail of a lone one."""
        if self._documents == 1:
            return np.arange(self.count) >= (self.count if self._lone is None else self._lone)
        share = max(share, 1.0 / max(1, self._documents))
        chosen: list[bool] = []
        document = 0
        for piece in self._pieces:
            chosen.append(int((document + 1) * share) > int(document * share))
            document += piece.ends
        if chosen and not any(chosen):
            last = self._pieces[-1].path
            chosen = [piece.path == last for piece in self._pieces]
        return np.array(chosen, bool)

    def pieces(self, most: int) -> list[tuple[int, int]]:
        """Return stretches of whole documents (or of the pieces of a lone one) of about `most` bytes."""
        found: list[tuple[int, int]] = []
        first = size = 0
        for unit, piece in enumerate(self._pieces):
            size += piece.last - piece.first
            if size >= most and (piece.ends or self._documents == 1):
                found.append((first, unit + 1))
                first, size = unit + 1, 0
        return found + ([(first, self.count)] if first < self.count else [])


def stdlib() -> list[Path]:
    """Return the files of this Python's standard library, without its tests."""
    root = Path(sysconfig.get_path("stdlib"))
    return _sorted(
        root, [path for path in root.rglob("*.py") if not SKIPPED.intersection(path.relative_to(root).parts)]
    )


def within(root: Path, pattern: str) -> list[Path]:
    """Return the files below a folder that a pattern such as `*.md` names, without hidden ones."""
    wanted = pattern.removeprefix("**/")
    return _sorted(root, [path for path in _walked(root, frozenset()) if wanted and path.match(wanted)])


def _walked(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """Yield the files below a folder, links followed, but not into a folder that they stand in. Raises OSError."""
    here = folder.resolve()
    if here in above:
        return
    with os.scandir(folder) as entries:
        for each in entries:
            if each.name.startswith(".") or each.name in JUNK:
                continue
            if each.is_dir():
                yield from _walked(folder / each.name, above | {here})
            elif each.is_file() or each.is_symlink():  # a link that leads nowhere is told when it is read
                yield folder / each.name


def _sorted(root: Path, paths: list[Path]) -> list[Path]:
    """Order by name, the same on every file system."""
    return sorted(paths, key=lambda path: path.relative_to(root).as_posix())


def _blank(path: Path) -> bool:
    try:
        return path.stat().st_size <= BLANK and not path.read_bytes().strip()
    except OSError:
        return False  # said when it is read


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 1


def _cut(path: Path, share: float) -> int | None:
    """Return where the tail of a lone document begins: at a character, a byte and more from either end."""
    size = _size(path)
    at = int(size * (1 - share))
    try:
        with path.open("rb") as file:
            file.seek(at)
            after = file.read(4)
    except OSError:
        return None
    while after and 0x80 <= after[0] < 0xC0:
        at, after = at + 1, after[1:]
    return at if 0 < at < size else None


def _breaks(path: Path, cut: int | None) -> list[int]:
    """Return where the pieces of a file begin and end: behind a line break about every `PIECE` bytes, and at `cut`."""
    size = _size(path)
    breaks = [0]
    if size > PIECE:
        with path.open("rb") as file:
            while breaks[-1] + PIECE < size:
                breaks.append(_after(file, breaks[-1], size))
    if breaks[-1] < size:
        breaks.append(size)
    return sorted({*breaks, cut}) if cut is not None else breaks


def _after(file: BinaryIO, start: int, size: int) -> int:
    """Return where a piece that begins at `start` ends: best behind a line whose break stands alone.

    Such a break is a word of its own to all that part text into words, so that the tokens are those of the whole.
    """
    begin = start + PIECE - WINDOW
    file.seek(begin)
    window = file.read(WINDOW)
    lone = [found.end() - 1 for found in _LONE.finditer(window)]
    if lone:
        return begin + lone[-1]
    line = window.rfind(b"\n")
    if line >= 0:
        return begin + line + 1
    at = len(window) - 1
    while at > 0 and 0x80 <= window[at] < 0xC0:
        at -= 1
    return min(begin + at, size)


_LONE = re.compile(rb"(?<=\S)\n(?=\S)[^\n]")


PACKED = (b"\x1f\x8b", b"PK\3\4", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")  # gzip, zip, bzip2, xz, zstd
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def remedy(path: Path) -> str:
    """Return what to do about a file that is no UTF-8, by its first bytes."""
    try:
        with path.open("rb") as file:
            begun = file.read(4096)
    except OSError:
        begun = b""
    if begun.startswith(PACKED):
        return "it is packed: unpack it first"
    others = "choose the folder's files with `train.data.files`"
    if b"\0" in begun and not begun.startswith(WIDE):
        return f"it is no text: convert it, or {others}"
    kind = "utf-16" if begun.startswith(WIDE) else "latin1"
    return f"save it as UTF-8 (`iconv -f {kind} -t utf-8 {path.name} > new.txt`, if it is {kind}), or {others}"


def _read(piece: Piece) -> str | Diagnostic:
    """Return the text of a piece, or what is wrong with it."""
    try:
        with piece.path.open("rb") as file:
            file.seek(piece.first)
            read = file.read(piece.last - piece.first)
        text = read.decode("utf-8")
        return text if piece.first else text.removeprefix(BOM)
    except UnicodeDecodeError as error:
        where = f"byte {piece.first + error.start:,} is {error.object[error.start]:#04x}"
        return Diagnostic("R703", f"`{piece.path}` is not UTF-8 text", label=where, help=remedy(piece.path))
    except OSError as error:
        return Diagnostic("R703", f"`{piece.path}` cannot be read: {error.strerror}")
