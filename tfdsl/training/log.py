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
    """An open `log.jsonl`. Of a run that is taken up again from `step`, entries after it are dropped, and its end.

    A run measures all that is held out at its end (`whole`) and does so again, so that this is dropped too. What is
    written goes to the `sinks` too.
    """

    def __init__(self, path: Path, step: int, sinks: Sequence[Sink] = ()) -> None:
        lines = [entry for entry in read(path) if entry["step"] <= step] if path.exists() and step else []
        lines = [entry for entry in lines if "end" not in entry and not entry.get("whole")]
        disk.write(path, "".join(json.dumps(entry) + "\n" for entry in lines))
        self._path, self._waiting, self._flushed, self._broken = path, "", time.monotonic(), False
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
        if not self._broken and waiting:
            self._broken = True  # nothing is written behind half a line
            disk.append(self._path, waiting, sync)
            self._broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.flush()
        for sink in self._sinks:
            sink.close()


class Mute(Log):
    """The log of a process that keeps none."""

    def __init__(self) -> None:
        self._sinks = ()

    def write(self, entry: Entry) -> None:
        """Leave an entry to the first process."""

    def flush(self, sync: bool = False) -> None:
        """Write nothing."""


def draw(entries: list[Entry], folder: Path, title: str) -> list[Path]:
    """Draw the loss by step as `loss.svg` and `loss.png` in `folder`: training (thin, and averaged) and held-out."""
    figure = picture.of_one(title, curves.points(entries, "loss"), curves.points(entries, "held_out"))
    return picture.save(figure, folder / "loss.svg", folder / "loss.png")
