"""Shards: what each says of itself, and how all of them become the columns of one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tfdsl import disk
from tfdsl.data.columns import OFFSETS, VALUES, Layout
from tfdsl.data.fit import Problems
from tfdsl.data.manifest import summed
from tfdsl.data.tables import Tables, unlike
from tfdsl.data.write import PARTS
from tfdsl.diagnostics import Diagnostic

NAME = "shard.json"
BLOCK = 1 << 24
Layouts = Mapping[str, Mapping[str, Layout]]


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard that is whole: how its columns lie, and how many examples each part has."""

    folder: Path
    layouts: Layouts
    counts: Mapping[str, int]


def tell(folder: Path, tables: Mapping[str, Tables]) -> None:
    """Finish the tables of a shard and write what it says of itself."""
    layouts = {part: {name: asdict(each) for name, each in tables[part].close().items()} for part in PARTS}
    content = {"layouts": layouts, "counts": {part: tables[part].count for part in PARTS}}
    files = [path for part in PARTS for path in sorted((folder / part).iterdir())]
    content["files"] = {path.relative_to(folder).as_posix(): summed(path) for path in files}
    disk.put(folder / NAME, json.dumps(content))


def told(folder: Path) -> Shard:
    """Return what a shard says of itself."""
    content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    layouts = {part: {name: Layout.of(each) for name, each in content["layouts"][part].items()} for part in PARTS}
    return Shard(folder, layouts, content["counts"])


def whole(folder: Path) -> bool:
    """Return whether a folder is a shard, all of whose files are what was written."""
    try:
        files = json.loads((folder / NAME).read_text(encoding="utf-8"))["files"]
        told(folder)
        return all(summed(folder / name) == sum_ for name, sum_ in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def fit(shards: Sequence[Shard]) -> Problems:
    """Say which column has another shape in one shard than in those before it."""
    first: dict[str, tuple[int, ...] | None] = {}
    for shard in shards:
        for part in PARTS:
            for name, layout in shard.layouts[part].items() if shard.counts[part] else ():
                shape = first.setdefault(name, layout.shape)
                if shape != layout.shape:
                    both = f"{list(layout.shape or ())} in some examples, {list(shape or ())} in others"
                    message = f"`{name}` has the shape {both}"
                    help_ = unlike(layout.shape or (), shape or ()) if layout.kind == "image" else ""
                    return [("train.data.source", Diagnostic("R745", message, label="of another shape", help=help_))]
    return []


def join(folder: Path, shards: Sequence[Shard]) -> Layouts:
    """Write the columns of all shards, one behind the other, as the tables of `folder`; return how they lie."""
    layouts: dict[str, dict[str, Layout]] = {}
    for part in PARTS:
        disk.clear(folder / part)
        disk.make(folder / part)
        layouts[part] = {name: _column(folder, shards, part, name) for name in shards[0].layouts[part]}
    return layouts


def tidy(folder: Path, *names: str) -> None:
    """Remove the shards, now that their columns are in the tables, and the files of these names."""
    for path in sorted(folder.iterdir()):
        if (path / NAME).is_file() or path.name.endswith(disk.PART):
            disk.clear(path)
        elif path.name in names:
            disk.system.remove(path)


def _column(folder: Path, shards: Sequence[Shard], part: str, name: str) -> Layout:
    layouts = [each.layouts[part][name] for each in shards]
    with disk.opened(folder / part / f"{name}.{VALUES}") as file:
        for shard in shards:
            for block in _blocks(shard.folder / part / f"{name}.{VALUES}"):
                file.write(block)
    if layouts[0].shape is None:
        with disk.opened(folder / part / f"{name}.{OFFSETS}") as file:
            file.write(np.zeros(1, "<i8").tobytes())
            base = 0  # a long text may begin in one shard and end in another, so this counts tokens, not texts
            for shard in shards:
                offsets = np.fromfile(shard.folder / part / f"{name}.{OFFSETS}", "<i8")
                file.write((offsets[1:] + base).tobytes())
                size = (shard.folder / part / f"{name}.{VALUES}").stat().st_size
                base += size // np.dtype(layouts[0].dtype).itemsize
    first = next((each for each, shard in zip(layouts, shards, strict=True) if shard.counts[part]), layouts[0])
    return Layout(first.kind, first.dtype, first.shape, sum(each.size for each in layouts))


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
