"""Arrays as a source: `.npy` files, a column each, mapped into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfdsl.data.arrow import Unreadable
from tfdsl.data.source import Record, Source
from tfdsl.data.table import Array


class Arrays(Source):
    """Examples along the first axis of arrays, each named as its file."""

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        """Map the files; raises Unreadable where one is no array of numbers or the lengths differ."""
        self._name, self._paths = name, paths
        names = [path.stem for path in paths]
        twice = next((path for path in paths if names.count(path.stem) > 1), None)
        if twice is not None:
            raise Unreadable(f"`{name}` has two arrays `{twice.stem}`, one of them `{twice}`: which is the column?")
        self._arrays = {path.stem: _mapped(path) for path in paths}
        self.columns = tuple(self._arrays)
        lengths = {column: len(array) for column, array in self._arrays.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"`{column}` {length:,}" for column, length in lengths.items())
            raise Unreadable(f"the arrays of `{name}` have different lengths: {told}")
        self.count = next(iter(lengths.values()), 0)

    def files(self) -> Sequence[Path]:
        """Return the files."""
        return self._paths

    def read(self, first: int, last: int) -> Iterator[Record]:
        """Yield the examples."""
        for unit in range(first, last):
            values = {column: _value(array[unit]) for column, array in self._arrays.items()}
            yield Record(unit, f"example {unit:,} of `{self._name}`", values)


def _value(value: Array) -> object:
    return np.asarray(value) if value.ndim else value.item()


def _mapped(path: Path) -> Array:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        said = "holds Python objects" if "Python objects" in str(error) else "is no whole .npy file"
        raise Unreadable(f"`{path}` {said}") from None
    if array.dtype.kind not in "biufUS" or not array.ndim:
        raise Unreadable(
            f"`{path}` holds {array.dtype} of the shape {list(array.shape)}, not a list of numbers or texts"
        )
    return array
