"""Curves as pictures, by matplotlib: of one run with its steps, of many with a colour each, bands over seeds."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfdsl import disk
from tfdsl.watching.curves import Points, averaged, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers tell apart; then the same with another line.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444", "#b3a600")
MARKS, FEW = ("o", "s", "D", "^", "v"), 6  # of points; and the most lines that may be of as many widths
LINES = ("-", "--", ":", "-.")
THIN, STEPS, AVERAGED, HELD = 0.6, "#9db8d9", "#2f6db5", "#c4572b"
WORDS = {
    "loss": "training loss (nats)",
    "held_out": "held-out loss (nats)",
    "lr": "learning rate",
    "norm": "length of the gradient",
    "steps": "step",
    "tokens": "tokens",
    "seconds": "seconds",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a picture: the middle by x, with half the width of the band around it (0: none)."""

    name: str
    points: Points
    widths: Sequence[float] = ()


def canvas(
    title: str, across: str, up: str, log: bool = False, size: tuple[float, float] = (7, 4)
) -> tuple[Figure, Axes]:
    """Return an empty picture with its words."""
    from matplotlib.figure import Figure  # a second to import, and wanted once a run

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=WORDS.get(across, across), ylabel=WORDS.get(up, up))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if log:
        axes.set_yscale("log")
    return figure, axes


def save(figure: Figure, *paths: Path) -> list[Path]:
    """Write a picture in the format that each path's ending names."""
    for path in paths:
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=160, format=path.suffix[1:])
        disk.write(path, drawn.getvalue())
    return list(paths)


def of_one(
    title: str, steps: Points, held: Points, across: str = "steps", up: str = "loss", log: bool = False
) -> Figure:
    """Return the picture of a run: each step (thin), their average, and the measurements."""
    figure, axes = canvas(title, across, "loss (nats)" if up == "loss" else up, log)
    if len(steps) > 1:
        axes.plot(*_sides(thinned(steps)), color=STEPS, linewidth=THIN, label="training, a step")
        axes.plot(*_sides(thinned(averaged(steps))), color=AVERAGED, linewidth=1.4, label="training, averaged")
    elif steps:
        axes.plot(*_sides(steps), color=AVERAGED, marker="o", markersize=3, linestyle="", label="training, a step")
    if held:
        axes.plot(*_sides(held), color=HELD, linewidth=1.4, marker="o", markersize=3, label="held out")
    if steps or held:
        axes.legend(frameon=False)
        _cut(axes, [*thinned(averaged(steps)), *held], log)
    return figure


def of_many(title: str, lines: Sequence[Line], across: str, up: str, log: bool = False, marked: bool = False) -> Figure:
    """Return the picture of many lines, a colour each, their names beside it; `marked` shows each point."""
    figure, axes = canvas(title, across, up, log, (8.5, 4.5))
    for index, line in enumerate(lines):
        colour, style = COLOURS[index % len(COLOURS)], LINES[index // len(COLOURS) % len(LINES)]
        xs, ys = _sides(line.points)
        # What lies under another line, and a point under another's, is wider than it: none hides one that is the same.
        under = len(lines) - 1 - index if len(lines) <= FEW else 0
        mark = MARKS[index % len(MARKS)] if marked else ""
        wide, size = 1.4 + (1.6 * under if marked else 0.0), 4 + 2.5 * under
        axes.plot(xs, ys, style, color=colour, linewidth=wide, label=line.name, marker=mark, markersize=size)
        if any(line.widths):
            low = [y - width for y, width in zip(ys, line.widths, strict=True)]
            high = [y + width for y, width in zip(ys, line.widths, strict=True)]
            axes.fill_between(xs, low, high, color=colour, alpha=0.18, linewidth=0)
    if len(lines) > 1 or (lines and lines[0].name):
        _legend(figure, axes, lines)
    _cut(axes, [point for line in lines for point in line.points[len(line.points) // 20 :]], log)
    return figure


def _legend(figure: Figure, axes: Axes, lines: Sequence[Line]) -> None:
    if len(lines) <= FEW and max(len(line.name) for line in lines) < 40:
        axes.legend(frameon=False, fontsize=8)
    else:
        figure.legend(loc="outside right upper", frameon=False, fontsize=7)


def _cut(axes: Axes, points: Points, log: bool) -> None:
    """Let no first steps, and no run that broke, flatten the rest: show to six times the middle half's height."""
    if log or len(points) < 20:
        return
    values = sorted(y for _, y in points)
    low, high = values[0], values[-1]
    quarter, most = values[len(values) // 4], values[len(values) * 3 // 4]
    limit = most + 6 * (most - quarter)
    if most > quarter and high > limit:
        axes.set_ylim(low - 0.05 * (limit - low), limit)


def _sides(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
