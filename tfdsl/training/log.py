"""The log of a run: one JSON object a line, and the curve drawn from it."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tfdsl import disk

Entry = dict[str, Any]


class Log:
    """An open `log.jsonl`. Of a run that is taken up again from `step`, entries after it are dropped, and its end.

    A run that had `measured` all that is held out at its end does so again, and that entry is dropped too.
    """

    def __init__(self, path: Path, step: int, measured: bool = False) -> None:
        lines = [entry for entry in read(path) if entry["step"] <= step] if path.exists() and step else []
        lines = [entry for entry in lines if "end" not in entry]
        if measured and lines and "held_out" in lines[-1]:
            lines.pop()
        disk.write(path, "".join(json.dumps(entry) + "\n" for entry in lines))
        self._path, self._waiting, self._flushed, self._broken = path, "", time.monotonic(), False

    def write(self, entry: Entry) -> None:
        """Add an entry; the file is at most a second behind."""
        self._waiting += json.dumps(entry) + "\n"
        if time.monotonic() - self._flushed > 1:
            self.flush()

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


class Mute(Log):
    """The log of a process that keeps none."""

    def __init__(self) -> None:
        pass

    def write(self, entry: Entry) -> None:
        """Leave an entry to the first process."""

    def flush(self, sync: bool = False) -> None:
        """Write nothing."""


def read(path: Path) -> list[Entry]:
    """Return the entries of a log; a last line that a kill cut short is left out."""
    entries: list[Entry] = []
    for line in path.read_text().splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
    return entries


def draw(entries: list[Entry], folder: Path, title: str) -> list[Path]:
    """Draw the loss by step as `loss.svg` and `loss.png` in `folder`: training (thin, and averaged) and held-out."""
    from matplotlib.figure import Figure  # a second to import, and wanted once a run

    steps = [(entry["step"], entry["loss"]) for entry in entries if "loss" in entry]
    held = [(entry["step"], entry["held_out"]) for entry in entries if "held_out" in entry]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    if steps:
        axes.plot(*zip(*steps, strict=True), color="#9db8d9", linewidth=0.6, label="training, a step")
        axes.plot(*zip(*_averaged(steps), strict=True), color="#2f6db5", linewidth=1.4, label="training, averaged")
    if held:
        axes.plot(*zip(*held, strict=True), color="#c4572b", linewidth=1.4, marker="o", markersize=3, label="held out")
    axes.set(title=title, xlabel="step", ylabel="loss (nats a token)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if steps or held:
        axes.legend(frameon=False)
    paths = [folder / "loss.svg", folder / "loss.png"]
    for path in paths:
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=160, format=path.suffix[1:])
        disk.write(path, drawn.getvalue())
    return paths


def _averaged(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Smooth exponentially over about a fiftieth of the points, corrected for the start (Kingma and Ba, 2015)."""
    keep = 1 - 1 / max(1.0, len(points) / 50)
    mean, weight, smooth = 0.0, 0.0, []
    for step, loss in points:
        mean, weight = keep * mean + (1 - keep) * loss, keep * weight + (1 - keep)
        smooth.append((step, mean / weight if weight else loss))
    return smooth
