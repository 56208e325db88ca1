"""The pictures of a sweep: the loss by what varies, with a band over seeds, and the curves of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfdsl.sweeping.grid import shorts
from tfdsl.sweeping.results import LOSS, Group, Row, groups
from tfdsl.watching import curves, picture
from tfdsl.watching.picture import Line

NAMES = tuple(f"{name}.{form}" for name in ("results", "curves") for form in ("svg", "png"))
WIDE = 8  # a range of values that is shown by its logarithm: the largest so many times the smallest
POINTS = 200  # of a curve that stands for several seeds


def draw(rows: Sequence[Row], folder: Path, title: str) -> list[Path]:
    """Draw `results` (where something varies) and `curves` as SVG and PNG into `folder`; return what was written."""
    found = groups(rows)
    paths: list[Path] = []
    if any(group.mean(LOSS) for group in found) and len(found) > 1:
        paths += _by_values(found, folder, title)
    lines = [line for group in found if (line := _curve(group)) is not None]
    if lines:
        figure = picture.of_many(f"{title}: training loss", lines, "steps", "loss")
        paths += picture.save(figure, folder / "curves.svg", folder / "curves.png")
    return paths


def _by_values(found: Sequence[Group], folder: Path, title: str) -> list[Path]:
    """Draw the loss by the first thing that varies, a line for each combination of the others."""
    names = list(found[0].values)
    across, others = names[0], names[1:]
    step = _in_step(found, across, others)
    others = [name for name in others if name not in step]
    short = shorts(names)
    told = [group for group in found if group.mean(LOSS) is not None]
    texts = list(dict.fromkeys(group.values[across] for group in told))
    places = _places(texts)
    lines: dict[str, list[tuple[float, float, float]]] = {}
    for group in told:
        loss = group.mean(LOSS)
        name = ", ".join(f"{short[other]} = {group.values[other]}" for other in others)
        if loss is not None:
            lines.setdefault(name, []).append((places[group.values[across]], loss.mean, loss.deviation or 0.0))
    drawn = [
        Line(name, [(x, y) for x, y, _ in sorted(points)], [width for _, _, width in sorted(points)])
        for name, points in lines.items()
    ]
    if len(told) < len(found):
        title += f" ({len(found) - len(told)} of {len(found)} combinations came to no loss)"
    figure = picture.of_many(title, drawn, short[across], "held_out", marked=True)
    (axes,) = figure.axes
    if _numeric(texts) and _wide(texts):
        axes.set_xscale("log")
    axes.set_xticks([places[text] for text in texts], texts)
    axes.minorticks_off()
    return picture.save(figure, folder / "results.svg", folder / "results.png")


def _in_step(found: Sequence[Group], across: str, others: Sequence[str]) -> set[str]:
    """Return which of the others have one value for each of the first: they vary in step with it, and make no lines."""
    return {
        name
        for name in others
        if len({(group.values[across], group.values[name]) for group in found})
        == len({group.values[across] for group in found})
    }


def _curve(group: Group) -> Line | None:
    """Return the training loss of a combination: averaged over its seeds, half as wide as they spread."""
    rows = group.done or group.rows
    each = [curves.thinned(curves.averaged(curves.points(row.log.entries, "loss")), POINTS) for row in rows]
    each = [points for points in each if points]
    name = ", ".join(f"{short} = {text}" for short, text in _shortly(group))
    if not each:
        return None
    if len(each) == 1:
        return Line(name, each[0])
    shortest = min(len(points) for points in each)
    middle: curves.Points = []
    widths: list[float] = []
    for at in range(shortest):
        values = [points[at][1] for points in each]
        mean = sum(values) / len(values)
        middle.append((each[0][at][0], mean))
        widths.append((sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5)
    return Line(name, middle, widths)


def _shortly(group: Group) -> list[tuple[str, str]]:
    short = shorts(list(group.values))
    return [(short[name], text) for name, text in group.values.items()]


def _numeric(texts: Sequence[str]) -> bool:
    try:
        return all(float(text) == float(text) for text in texts)
    except ValueError:
        return False


def _wide(texts: Sequence[str]) -> bool:
    values = [float(text) for text in texts]
    return min(values) > 0 and max(values) / min(values) >= WIDE


def _places(texts: Sequence[str]) -> dict[str, float]:
    """Return where each value stands: numbers at their value, others one behind the other."""
    return {text: float(text) if _numeric(texts) else float(at) for at, text in enumerate(texts)}
