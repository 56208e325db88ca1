"""A disk that forgets: what was asked of the file system, and the states that a power loss may leave."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tfdsl import disk


class Recorder(disk.System):
    """A system that does what it is asked to and notes it: (verb, path, more)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Path, object]] = []

    def open(self, path: Path, mode: str) -> BinaryIO:
        self.asked.append(("open", path, mode))
        asked = self.asked

        class Noted(io.FileIO):
            def write(self, piece: object) -> int:
                asked.append(("write", path, bytes(piece)))  # type: ignore[call-overload]
                return super().write(piece)  # type: ignore[arg-type]

        return io.BufferedWriter(Noted(path, mode))  # type: ignore[return-value]

    def sync(self, path: Path) -> None:
        self.asked.append(("sync", path, None))

    def rename(self, old: Path, new: Path) -> None:
        self.asked.append(("rename", old, new))
        super().rename(old, new)

    def mkdir(self, path: Path) -> None:
        self.asked.append(("mkdir", path, None))
        super().mkdir(path)

    def remove(self, path: Path) -> None:
        self.asked.append(("remove", path, None))
        super().remove(path)


@dataclass
class File:
    """What the disk holds of a file, and what is only in memory."""

    durable: bytes = b""
    current: bytes = b""


@dataclass
class Folder:
    """What the disk holds of a folder, what is in it, and the changes in between, each of them whole or lost."""

    durable: dict[str, File | Folder] = field(default_factory=dict)
    current: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[dict[str, File | Folder | None]] = field(default_factory=list)

    def change(self, names: dict[str, File | Folder | None]) -> None:
        self.pending.append(names)
        apply(self.current, names)


def apply(names: dict[str, File | Folder], change: dict[str, File | Folder | None]) -> None:
    """Do a change: None takes a name away."""
    for name, node in change.items():
        names.pop(name, None)
        if node is not None:
            names[name] = node


class Forgetful:
    """A file system in memory, below `root`, that is asked what a `Recorder` noted."""

    def __init__(self, root: Path) -> None:
        self.root, self.top = root, Folder()

    def node(self, path: Path) -> File | Folder:
        here: File | Folder = self.top
        for name in path.relative_to(self.root).parts:
            assert isinstance(here, Folder)
            here = here.current[name]
        return here

    def above(self, path: Path) -> Folder:
        found = self.node(path.parent)
        assert isinstance(found, Folder)
        return found

    def do(self, verb: str, path: Path, more: object) -> None:
        """Do what was asked."""
        if verb == "open":
            names = self.above(path).current
            if path.name not in names:
                self.above(path).change({path.name: File()})
            elif more == "wb":
                self.file(path).current = b""
        elif verb == "write":
            assert isinstance(more, bytes)
            self.file(path).current += more
        elif verb == "mkdir":
            self.above(path).change({path.name: Folder()})
        elif verb == "remove":
            self.above(path).change({path.name: None})
        elif verb == "rename":
            assert isinstance(more, Path)
            assert path.parent == more.parent, "a rename between folders is not one change"
            self.above(path).change({path.name: None, more.name: self.node(path)})
        elif verb == "sync":
            self.sync(path)

    def file(self, path: Path) -> File:
        found = self.node(path)
        assert isinstance(found, File)
        return found

    def sync(self, path: Path) -> None:
        found = self.node(path)
        if isinstance(found, File):
            found.durable = found.current
        else:
            found.durable = dict(found.current)
            found.pending.clear()

    def survivors(self, chance: random.Random) -> dict[str, object]:
        """Return what a power loss at this moment might leave: names to bytes, and to the same of folders."""
        return left(self.top, chance)


def left(folder: Folder, chance: random.Random) -> dict[str, object]:
    """Return what is left of a folder: any of its changes, and of each file the old, a part of the new, or zeros."""
    names = dict(folder.durable)
    keep = chance.choice([0.0, 0.5, 0.9, 1.0])
    for change in folder.pending:
        if chance.random() < keep:
            apply(names, change)
    return {
        name: left(node, chance) if isinstance(node, Folder) else remains(node, chance) for name, node in names.items()
    }


def remains(file: File, chance: random.Random) -> bytes:
    if file.durable == file.current:
        return file.durable
    kept = len(file.durable) if file.current.startswith(file.durable) else 0  # what was there before more was added
    part = file.current[: chance.randrange(kept, len(file.current) + 1)]
    zeros = file.current[:kept] + bytes(len(file.current) - kept)  # the length reached the disk, the numbers did not
    return chance.choice([file.durable, file.current, part, zeros])


def losses(
    asked: list[tuple[str, Path, object]], root: Path, each: int, seed: int = 0
) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield what a power loss after each of the things asked might leave, of `each` tries, with how many were done."""
    chance = random.Random(seed)
    memory = Forgetful(root)
    for done, (verb, path, more) in enumerate(asked):
        memory.do(verb, path, more)
        seen: list[dict[str, object]] = []
        for _ in range(each):
            left = memory.survivors(chance)
            if left not in seen:
                seen.append(left)
                yield done + 1, left


def lay(names: dict[str, object], folder: Path) -> None:
    """Make what survived a folder on the real disk."""
    folder.mkdir()
    for name, node in names.items():
        if isinstance(node, dict):
            lay(node, folder / name)
        else:
            assert isinstance(node, bytes)
            (folder / name).write_bytes(node)
