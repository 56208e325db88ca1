"""The log of a run: one JSON object a line, and the curve drawn from it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tfdsl import disk
from tfdsl.training.reports import Sink
from tfdsl.watching import curves, picture
from tfdsl.watching.curves import Entry, read

__all__ = ["Entry", "Log", "draw", "read"]


class Log:
    """An open `log.jsonl`. Entries after `step` (of a run that is taken up again from there) are dropped.

    What is written goes to the `sinks` too.
    """

    def __init__(self, path: Path, step: int, sinks: Sequence[Sink] = ()) -> None:
        lines = [entry for entry in read(path) if entry["step"] <= step] if path.exists() and step else []
        disk.write(path, "".join(json.dumps(entry) + "\n" for entry in lines))
        self._path, self._waiting, self._flushed = path, "", time.monotonic()
        self._sinks = sinks

    def write(self, entry: Entry) -> None:
        """Add an entry; the file is at most a second behind."""
        self._waiting += json.dumps(entry) + "\n"
        if time.monotonic() - self._flushed > 1:
            self.flush()
        for sink in self._sinks:
            sink.write(entry)

    def flush(self, sync: bool = False) -> None:
        """Bring the file up to date; with `sync`, the disk holds it when this returns."""
        waiting, self._waiting, self._flushed = self._waiting, "", time.monotonic()
        disk.append(self._path, waiting, sync)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.flush()
        for sink in self._sinks:
            sink.close()


def draw(entries: list[Entry], folder: Path, title: str) -> list[Path]:
    """Draw the loss by step as `loss.svg` and `loss.png` in `folder`: training (thin, and averaged) and held-out."""
    figure = picture.of_one(title, curves.points(entries, "loss"), curves.points(entries, "held_out"))
    return picture.save(figure, folder / "loss.svg", folder / "loss.png")
