"""Arrow as a source: Parquet files, and Hugging Face `datasets` as they lie on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfdsl.data.absent import needed
from tfdsl.data.pictures import decoded
from tfdsl.data.source import Record, Source
from tfdsl.data.values import Unfit
from tfdsl.diagnostics import Diagnostic

ROWS = 1024  # that are made into Python's values at once
TRAIN, HELD_OUT = "train", ("validation", "valid", "val", "dev", "eval", "test")
SUFFIXES = frozenset({".parquet", ".arrow"})


class Unreadable(ValueError):
    """A file is not what its name says."""

    @property
    def diagnostic(self) -> Diagnostic:
        """Return what to say of it."""
        return Diagnostic("R747", str(self), label="cannot be read")


class Arrow(Source):
    """Rows of tables, of each group of rows one at a time; only the columns that are wanted are read."""

    def __init__(self, name: str, paths: Sequence[Path], features: Mapping[str, Any] = {}) -> None:
        """Open the files; raises Absent without pyarrow, and Unreadable."""
        self._name, self._paths = name, paths
        self._parts = [_parts(path) for path in paths]
        self._starts = [0]
        for _, sizes in self._parts:
            for size in sizes:
                self._starts.append(self._starts[-1] + size)
        self.count = self._starts[-1]
        self.columns = tuple(self._parts[0][0].names) if paths else ()
        written: Mapping[str, Any] = self._parts[0][0].features() if paths else {}
        features = features or written
        self.classes = {
            name: tuple(map(str, about["names"]))
            for name, about in features.items()
            if isinstance(about, dict) and about.get("_type") == "ClassLabel" and isinstance(about.get("names"), list)
        }
        self._images = {
            name for name, about in features.items() if isinstance(about, dict) and about.get("_type") == "Image"
        }
        self._wanted: tuple[str, ...] | None = None

    def narrow(self, columns: Sequence[str]) -> Source:
        """Read these columns alone from now on."""
        self._wanted = tuple(name for name in dict.fromkeys(columns) if name in self.columns)
        return self

    def files(self) -> Sequence[Path]:
        """Return the files."""
        return self._paths

    def pieces(self, most: int) -> list[tuple[int, int]]:
        """Return stretches of whole groups of rows of about `most` bytes."""
        size = sum(path.stat().st_size for path in self._paths)
        found: list[tuple[int, int]] = []
        first = 0
        for start in self._starts[1:]:
            if (start - first) * size >= most * max(1, self.count) or start == self.count:
                found.append((first, start))
                first = start
        return [(first, last) for first, last in found if first < last]

    def read(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        """Yield the rows, or what is wrong with a file."""
        place = 0
        for path, (part, sizes) in zip(self._paths, self._parts, strict=True):
            for group in range(len(sizes)):
                start, end = self._starts[place], self._starts[place + 1]
                place += 1
                if start < last and end > first:
                    yield from self._rows(path, part, group, start, max(first, start), min(last, end))

    def _rows(
        self, path: Path, part: Any, group: int, start: int, first: int, last: int
    ) -> Iterator[Record | Diagnostic]:
        try:
            table = part.group(group, self._wanted)
            for at in range(first, last, ROWS):
                rows = table.slice(at - start, min(ROWS, last - at)).to_pylist()
                for number, row in enumerate(rows, at):
                    yield self._record(number, row)
        except (ValueError, OSError) as error:  # Arrow's errors are these
            yield Unreadable(f"`{path}` is damaged: {_line(error)}").diagnostic

    def _record(self, number: int, row: dict[str, Any]) -> Record | Diagnostic:
        place = f"row {number:,} of `{self._name}`"
        for name, value in row.items():
            if isinstance(value, dict) and isinstance(value.get("bytes"), bytes) and set(value) <= {"bytes", "path"}:
                try:
                    row[name] = decoded(value["bytes"])
                except Unfit as reason:
                    return Diagnostic("R744", f"`{name}` of {place} {reason}", label="no image")
        return Record(number, place, row)


class _Parquet:
    def __init__(self, path: Path) -> None:
        self._file = needed("pyarrow.parquet", "pyarrow").ParquetFile(path)
        self.names = self._file.schema_arrow.names

    def features(self) -> dict[str, Any]:
        return _features(self._file.schema_arrow)

    def sizes(self) -> list[int]:
        return [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]

    def group(self, number: int, columns: Sequence[str] | None) -> Any:
        return self._file.read_row_group(number, columns=None if columns is None else list(columns), use_threads=False)


class _Stream:
    def __init__(self, path: Path) -> None:
        arrow = needed("pyarrow", "pyarrow")
        mapped = arrow.memory_map(str(path))
        try:
            self._table = arrow.ipc.open_stream(mapped).read_all()
        except arrow.ArrowInvalid:
            self._table = arrow.ipc.open_file(arrow.memory_map(str(path))).read_all()
        self.names = self._table.column_names

    def features(self) -> dict[str, Any]:
        return _features(self._table.schema)

    def sizes(self) -> list[int]:
        return [self._table.num_rows]

    def group(self, number: int, columns: Sequence[str] | None) -> Any:
        return self._table if columns is None else self._table.select(list(columns))


def _features(schema: Any) -> dict[str, Any]:
    """Return what Hugging Face `datasets` wrote of the columns into a file: the names of classes, which are images."""
    try:
        told: Any = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        found: Any = told["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return dict(found) if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownArgumentType]


def _parts(path: Path) -> tuple[Any, list[int]]:
    try:
        part = _Parquet(path) if path.suffix == ".parquet" else _Stream(path)
        return part, part.sizes()
    except (ValueError, OSError) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "Arrow"
        raise Unreadable(f"`{path}` is no whole {kind} file: {_line(error)}") from None


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__


def is_dataset(folder: Path) -> bool:
    """Return whether a folder is what `save_to_disk` of Hugging Face `datasets` writes."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def dataset(folder: Path) -> tuple[Source, Source | None, list[str]]:
    """Return the part to train on, the one that is held out where there is one, and the names of those left out.

    Raises Unreadable and Absent.
    """
    if not (folder / "dataset_dict.json").is_file():
        return _split(folder), None, []
    names: Any = _told(folder / "dataset_dict.json").get("splits")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):  # pyright: ignore[reportUnknownVariableType]
        raise Unreadable(f"`{folder / 'dataset_dict.json'}` names no parts")
    if TRAIN not in names and len(names) != 1:
        raise Unreadable(
            f"`{folder}` has no part `train`, but {', '.join(names)}: name one, such as `{folder}/{names[0]}`"
        )
    held_out = next((name for name in HELD_OUT if name in names and len(names) > 1), None)
    train = TRAIN if TRAIN in names else names[0]
    rest = [name for name in names if name not in (train, held_out)]
    return _split(folder / train), None if held_out is None else _split(folder / held_out), rest


def _split(folder: Path) -> Arrow:
    state = _told(folder / "state.json")
    if state.get("_indices_data_files"):
        raise Unreadable(f"`{folder}` is a choice of rows of another table: save it after `flatten_indices()`")
    try:
        paths = [folder / each["filename"] for each in state.get("_data_files", [])]
    except (TypeError, KeyError):
        raise Unreadable(f"`{folder / 'state.json'}` does not say which files are the table") from None
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        raise Unreadable(
            f"`{missing[0] if missing else folder}` is missing" if missing else f"`{folder}` names no files"
        )
    about = folder / "dataset_info.json"
    features: Any = _told(about).get("features") if about.is_file() else {}
    return Arrow(str(folder), paths, features if isinstance(features, dict) else {})  # pyright: ignore[reportUnknownArgumentType]


def _told(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise Unreadable(f"`{path}` cannot be read as JSON") from None
    return told if isinstance(told, dict) else {}
