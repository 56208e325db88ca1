"""The logs of runs as curves: a quantity of each step, or of each measurement, by step, tokens or seconds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
Points = list[tuple[float, float]]
LOG = "log.jsonl"
ACROSS = {"steps": "step", "tokens": "tokens", "seconds": "seconds"}  # what a curve goes by, and its name in a log


@dataclass(frozen=True, slots=True)
class Log:
    """The log of a run, under the name that it has in a picture."""

    name: str
    entries: Sequence[Entry]

    @property
    def end(self) -> Entry | None:
        """Return the entry that a run writes when it ends, if nothing came after it."""
        return self.entries[-1] if self.entries and "end" in self.entries[-1] else None


def read(path: Path) -> list[Entry]:
    """Return the entries of a log; a last line that a kill cut short is left out."""
    entries: list[Entry] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if isinstance(entry, dict) and "step" in entry:
            entries.append(entry)
    return entries


def folders(path: Path) -> list[Path]:
    """Return the runs that `path` is: itself, or those in it (a sweep's, or a folder of runs), by name."""
    if (path / LOG).is_file():
        return [path]
    return sorted(each.parent for each in path.glob(f"*/{LOG}"))


def gather(paths: Iterable[Path]) -> list[Log]:
    """Return the logs of runs, each named by as much of its path as tells it from the others."""
    found = list(dict.fromkeys(each.resolve() for path in paths for each in folders(path)))
    count = 1
    deepest = max((len(path.parts) for path in found), default=1)
    while count < deepest and len({path.parts[-count:] for path in found}) < len(found):
        count += 1
    return [Log("/".join(path.parts[-count:]), read(path / LOG)) for path in found]


def figures(logs: Iterable[Log]) -> list[str]:
    """Return the names of the figures that measurements in the logs have, in their order."""
    told = (name for log in logs for entry in log.entries for name in entry.get("figures", {}))
    return list(dict.fromkeys(told))


def points(entries: Sequence[Entry], y: str, x: str = "steps") -> Points:
    """Return (x, y) of each entry that tells `y`: `loss`, `lr`, `norm`, `held_out`, or a figure of measurements.

    `x` is one of `steps`, `tokens` and `seconds`; a measurement stands at the step before it, and the later one of two
    takes the place of the other. What is not finite is left out.
    """
    found: Points = []
    place: float | None = 0.0 if x != "steps" else None
    for entry in entries:
        place = entry["step"] if x == "steps" else entry.get(ACROSS[x], place)
        value = entry[y] if y in entry else entry.get("figures", {}).get(y)
        if place is not None and isinstance(value, int | float) and math.isfinite(value):
            if found and found[-1][0] == place:
                found.pop()
            found.append((float(place), float(value)))
    return found


def averaged(points: Points, over: float | None = None) -> Points:
    """Smooth each point by the line that fits it and its neighbours best, about `over` points (a fiftieth, or a few).

    It lies in the middle of what it smooths, where an average of the points before would lag behind a loss that falls;
    at both ends the line is of those that there are (Cleveland, 1979, with equal weights).
    """
    few = max(len(points) / 50, min(6.0, len(points) / 10)) if over is None else over
    reach = round(0.6 * few)
    sums, places = [0.0], [0.0]  # of what stands before a point, and of the same times its place
    for place, (_, y) in enumerate(points):
        sums.append(sums[-1] + y)
        places.append(places[-1] + place * y)
    smooth: Points = []
    for place, (x, y) in enumerate(points):
        first, last = max(0, place - reach), min(len(points), place + reach + 1)
        count, middle = last - first, (first + last - 1) / 2
        if count < 3:
            smooth.append((x, y))
            continue
        total = sums[last] - sums[first]
        slope = (places[last] - places[first] - middle * total) / (count * (count**2 - 1) / 12)
        smooth.append((x, total / count + slope * (place - middle)))
    return smooth


def thinned(points: Points, most: int = 2000) -> Points:
    """Return at most `most` of the points, evenly spread, the last among them: a picture shows no more."""
    if len(points) <= most:
        return points
    return [points[(index + 1) * len(points) // most - 1] for index in range(most)]
