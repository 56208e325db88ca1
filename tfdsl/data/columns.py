"""Columns on disk: written as the examples come, mapped when they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfdsl import disk
from tfdsl.data.table import Array, Column, Fixed, Ragged, Table

VALUES, OFFSETS = "values", "offsets"
RAGGED = ("text", "turns")  # kinds whose values have a length of their own in each example


@dataclass(frozen=True, slots=True)
class Layout:
    """What lies in a column's files: `shape` of an example, None where lengths differ; `size`, bytes of the text."""

    kind: str
    dtype: str
    shape: tuple[int, ...] | None = None
    size: int = 0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Layout:
        """Return the layout that a file tells."""
        shape = told["shape"]
        return cls(told["kind"], told["dtype"], None if shape is None else tuple(shape), told["size"])


class Writer:
    """Writes a column, one example after the other, pieces of one too."""

    def __init__(self, folder: Path, name: str, kind: str, dtype: Any) -> None:
        disk.make(folder)
        self._kind, self._dtype = kind, np.dtype(dtype)
        self._values: BinaryIO = disk.opened(folder / f"{name}.{VALUES}")
        self._offsets: BinaryIO | None = disk.opened(folder / f"{name}.{OFFSETS}") if kind in RAGGED else None
        self._shape: tuple[int, ...] | None = None
        self._at = 0
        self.size = 0
        if self._offsets is not None:
            self._offsets.write(np.zeros(1, "<i8").tobytes())

    def add(self, values: Array, ends: bool = True) -> None:
        """Write the values of an example, or of a piece of it."""
        if self._offsets is None:
            self._shape = values.shape
        self._values.write(np.ascontiguousarray(values, self._dtype).data)
        self._at += len(values) if self._offsets is not None else 1
        if ends and self._offsets is not None:
            self._offsets.write(np.int64(self._at).astype("<i8").tobytes())

    def close(self) -> Layout:
        """Finish the files and return what lies in them."""
        self._values.close()
        if self._offsets is not None:
            self._offsets.close()
            return Layout(self._kind, self._dtype.str, None, self.size)
        return Layout(self._kind, self._dtype.str, self._shape or ())


def opened(folder: Path, layouts: Mapping[str, Layout]) -> Table:
    """Return the table in a folder, its columns mapped into memory and not to be written."""
    columns = {name: _column(folder, name, layout) for name, layout in layouts.items()}
    return Table(columns, {name: layout.size for name, layout in layouts.items() if layout.kind == "text"})


def _column(folder: Path, name: str, layout: Layout) -> Column:
    values = _mapped(folder / f"{name}.{VALUES}", layout.dtype)
    if layout.shape is None:
        return Ragged(values, _mapped(folder / f"{name}.{OFFSETS}", "<i8"))
    return Fixed(values.reshape(-1, *layout.shape))


def _mapped(path: Path, dtype: str) -> Array:
    if not path.stat().st_size:
        return np.empty(0, dtype)  # nothing cannot be mapped
    return np.asarray(np.memmap(path, dtype, "r"))


def paths(folder: Path, layouts: Mapping[str, Layout]) -> Sequence[Path]:
    """Return the files of a table."""
    return [
        folder / f"{name}.{part}"
        for name, layout in layouts.items()
        for part in ((VALUES, OFFSETS) if layout.shape is None else (VALUES,))
    ]
