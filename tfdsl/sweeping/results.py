"""What the runs of a sweep came to: a row a run, and means and standard deviations over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfdsl import costing, declared
from tfdsl.sweeping import work
from tfdsl.sweeping.plan import Planned
from tfdsl.watching import curves
from tfdsl.watching.curves import Log

LOSS = "loss"  # what a table calls the loss on held-out examples


@dataclass(frozen=True, slots=True)
class Row:
    """A run: its name, what varies, how it ended and what it came to.

    `status` is `done`, `diverged`, `stopped` or `failed` (with the `reason`); `figures` are those of the last
    measurement, `loss` among them; `flops` are those of a training step on one example as long as the context.
    """

    name: str
    values: Mapping[str, str]
    seed: int
    status: str
    step: int
    parameters: int
    flops: int
    figures: Mapping[str, float]
    tokens: int | None = None
    seconds: float | None = None
    reason: str = ""
    log: Log = field(default=Log("", ()), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Mean:
    """A figure over seeds: its mean, its standard deviation (of a sample; None of one), and how many there were."""

    mean: float
    deviation: float | None
    count: int

    def __str__(self) -> str:
        """Return it as `2.3151 ± 0.0042`: two digits of the deviation, and the mean to the same place."""
        if not self.deviation:
            return number(self.mean) + ("" if self.deviation is None else " ± 0")
        places = max(0, 1 - math.floor(math.log10(self.deviation)))
        return f"{self.mean:.{places}f} ± {self.deviation:.{places}f}"


@dataclass(frozen=True, slots=True)
class Group:
    """A combination: what varies, and its runs, one a seed."""

    values: Mapping[str, str]
    rows: tuple[Row, ...]

    @property
    def done(self) -> tuple[Row, ...]:
        """Return the runs that came to their end."""
        return tuple(row for row in self.rows if row.status == "done")

    def mean(self, figure: str) -> Mean | None:
        """Return a figure over the runs that came to their end and have it."""
        return mean([row.figures[figure] for row in self.done if figure in row.figures])

    @property
    def seconds(self) -> Mean | None:
        """Return how long the runs took that came to their end."""
        return mean([row.seconds for row in self.done if row.seconds is not None])

    @property
    def status(self) -> str:
        """Return `done`, or how many of the runs ended otherwise: `1 of 3 diverged`."""
        others = {row.status for row in self.rows} - {"done"}
        if not others:
            return "done"
        counts = [(sum(row.status == word for row in self.rows), word) for word in sorted(others)]
        return ", ".join(word if len(self.rows) == 1 else f"{n} of {len(self.rows)} {word}" for n, word in counts)


def mean(values: Sequence[float]) -> Mean | None:
    """Return the mean of values and their standard deviation; None of none."""
    if not values:
        return None
    middle = math.fsum(values) / len(values)
    if len(values) == 1:
        return Mean(middle, None, 1)
    squares = math.fsum((value - middle) ** 2 for value in values)
    return Mean(middle, math.sqrt(squares / (len(values) - 1)), len(values))


def collect(runs: Sequence[Planned]) -> list[Row]:
    """Return a row for each run of a sweep, whatever became of it."""
    return [_row(run) for run in runs]


def _row(run: Planned) -> Row:
    path = run.folder / curves.LOG
    log = Log(run.combination.name, curves.read(path) if path.is_file() else [])
    end = log.end or {}
    status = {"signal": "stopped", "diverged": "diverged"}.get(end["end"], "done") if end else "failed"
    held = next((entry for entry in reversed(log.entries) if "held_out" in entry), {})
    figures = {LOSS: held["held_out"], **held.get("figures", {})} if held else {}
    latest = log.entries[-1] if log.entries else {}
    return Row(
        name=run.combination.name,
        values=dict(run.combination.values),
        seed=run.checked.train.seed,
        status=status,
        step=latest.get("step", 0),
        parameters=declared.count(run.checked),
        flops=_flops(run),
        figures=figures,
        tokens=next((entry["tokens"] for entry in reversed(log.entries) if "tokens" in entry), None),
        seconds=next((entry["seconds"] for entry in reversed(log.entries) if "seconds" in entry), None),
        reason=work.reason(run.folder) if status == "failed" else "",
        log=log,
    )


def _flops(run: Planned) -> int:
    """Return the FLOPs of training on one example, every axis at its longest."""
    context = run.checked.train.context
    plain = costing.count(run.checked)
    if context is None:
        return plain.training
    firsts = {str(value.tensor.sizes[0]) for value in run.checked.inputs.values()}
    shorter = {name: min(context, length) for name, length in plain.axes.items() if name not in firsts}
    return costing.count(run.checked, shorter).training


def groups(rows: Sequence[Row]) -> list[Group]:
    """Return the rows by combination, in their order."""
    found: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.values.items()), []).append(row)
    return [Group(dict(values), tuple(each)) for values, each in found.items()]


def figures(rows: Sequence[Row]) -> list[str]:
    """Return the names of all figures, in their order."""
    return list(dict.fromkeys(name for row in rows for name in row.figures))


def number(value: float) -> str:
    """Return a number with four digits that mean something, in powers of ten only if it must."""
    if abs(value) >= 1e6 or 0 < abs(value) < 1e-4:
        return f"{value:.4g}"
    return f"{int(value)}" if value == int(value) else f"{value:#.4g}".rstrip(".")


def large(value: float) -> str:
    """Return a large number as `4.33 M`."""
    for unit, power in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= power:
            return f"{value / power:.3g} {unit}"
    return f"{value:.0f}"
