"""A sweep from its first check to its table and pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfdsl import disk
from tfdsl.checking import Checked
from tfdsl.diagnostics import Diagnostic
from tfdsl.sweeping import grid, pictures, record, results, table, work
from tfdsl.sweeping.plan import Fit, Planned, plan

if TYPE_CHECKING:
    from tfdsl.training.prepare import Job

Check = Callable[[Sequence[str]], Checked]


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep that was run: its folder, a row for each run, and whether every run had its turn."""

    folder: Path
    rows: tuple[results.Row, ...]
    whole: bool

    @property
    def groups(self) -> list[results.Group]:
        """Return the rows by combination, with means over seeds."""
        return results.groups(self.rows)

    def __repr__(self) -> str:
        """Return the folder, and how many runs came to their end."""
        done = sum(row.status == "done" for row in self.rows)
        return f"Sweep({str(self.folder)!r}: {done} of {len(self.rows)} runs done)"

    def __str__(self) -> str:
        """Return the table."""
        return table.text(self.rows)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep is to run: sound runs, or what is wrong and the texts that it is about."""

    runs: Sequence[Planned]
    problems: Sequence[Diagnostic]
    texts: Mapping[str, str] = field(default_factory=dict[str, str])


def planned(
    check: Check,
    vary: Sequence[str],
    zipped: Sequence[str],
    seeds: int,
    folder: Path,
    start: str | None = None,
    fit: Fit | None = None,
) -> Plan:
    """Return the runs of a sweep, each checked, or all that is wrong with any of them; nothing is written.

    `start` is the run whose weights they begin with.
    """
    axes, problems = grid.axes(vary, zipped)
    if problems:
        return Plan((), problems)
    plain = check(())
    combinations, problems = grid.combinations(axes, seeds, plain.train.seed if plain.ok else 0)
    if problems:
        return Plan((), problems)
    problems = record.against(folder, [each.name for each in combinations], start)
    if problems:
        return Plan((), problems)
    with tempfile.TemporaryDirectory() as aside:
        fit = fit or _Fits(Path(aside))
        return Plan(*plan(combinations, check, folder, fit))


def run(plan: Plan, folder: Path, jobs: int, start: str | None, watch: work.Watch) -> Sweep:
    """Train what has not come to an end, `jobs` at a time, and write the table and the pictures of all."""
    disk.make(folder)
    record.write(folder, [each.combination.name for each in plan.runs], start)
    whole = work.run_all(plan.runs, jobs, start, watch)
    rows = results.collect(plan.runs)
    spec = plan.runs[0].checked.spec
    title = spec.name if spec is not None else folder.name
    table.write(rows, folder, title)
    pictures.draw(rows, folder, title)
    return Sweep(folder, tuple(rows), whole)


class _Fits:
    """Whether a spec's objective, data and tokenizer fit its model, tried once for all specs that agree in these."""

    OTHER = frozenset(
        {"optimizer", "schedule", "steps", "minutes", "seed", "clip", "evaluate", "checkpoint", "precision", "threads"}
        | {"compile", "accumulate", "batch", "label_smoothing"}
    )

    def __init__(self, aside: Path) -> None:
        self.aside = aside
        self.known: dict[str, tuple[Job | None, list[Diagnostic]]] = {}

    def __call__(self, checked: Checked) -> list[Diagnostic]:
        """Return what does not fit."""
        from tfdsl.training import groups, needs, subject
        from tfdsl.training.prepare import prepare, resolved
        from tfdsl.training.processes import Processes

        taken = subject.of(checked)
        signature = repr(taken.signature)
        key = f"{checked.train.model_dump(exclude=set(self.OTHER))!r} {signature}"
        if key not in self.known:
            place = self.aside / str(len(self.known))
            loose = checked.train.model_copy(update={"memory": "any"})
            self.known[key] = prepare(taken, loose, checked.sample, place)
        job, found = self.known[key]
        if job is not None:
            found = needs.first(taken, job.task, resolved(checked.train, taken), job.data.train, Processes())
        wrong = [each for each in found if each.severity == "error"]
        for path, fault in groups.against(taken.known(), checked.train.optimizer):
            wrong.append(fault if fault.span else replace(fault, span=taken.where(path)))
        return list(dict.fromkeys(wrong))
