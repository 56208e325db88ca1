"""tfdsl sweep: train a spec many times, and compare."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from tfdsl import disk, report
from tfdsl.cli import options
from tfdsl.cli.output import Stop, coloured, refuse, remark, say
from tfdsl.cli.reading import checked, inspect

if TYPE_CHECKING:
    from tfdsl.checking import Checked
    from tfdsl.sweeping.plan import Planned


@click.command()
@click.argument("spec", metavar="SPEC")
@click.option(
    "--vary", multiple=True, metavar="NAME=V,V…", help="Values that a size or a setting takes. Repeat it: all pairs."
)
@click.option(
    "--zip", "zipped", multiple=True, metavar="NAME=V,V…", help="As --vary, for those that change in step. Repeat it."
)
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Runs of each combination.")
@click.option("-o", "--output", metavar="FOLDER", help="The sweep's folder. [default: runs/NAME-sweep]")
@click.option("--data", metavar="TEXT", help="Short for --set train.data=TEXT.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Runs at a time.")
@click.option("--from", "start", metavar="RUN", help="Start each from the weights and the tokenizer of another run.")
@options.overrides
def command(
    spec: str,
    vary: tuple[str, ...],
    zipped: tuple[str, ...],
    seeds: int,
    output: str | None,
    data: str | None,
    jobs: int,
    start: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Train a spec with every combination of values, and compare: one table, one picture, the curves.

    Every combination is checked before the first one starts. The same command again goes on where it was: what is
    trained is kept, what was broken off is taken up at its checkpoint. Ctrl-C saves what runs.
    """
    from tfdsl.sweeping import run

    overrides = options.with_data(data, overrides)
    if spec == "-":
        refuse("a sweep reads its spec many times: name a file")
    plain = checked(spec, overrides)
    assert plain.spec is not None, "a spec without errors is there"
    folder = Path(output or f"runs/{plain.spec.name}-sweep")

    def check(others: Sequence[str]) -> Checked:
        return inspect(spec, (*overrides, *others))

    plan = run.planned(check, vary, zipped, seeds, folder, start)
    if plan.problems:
        remark(report.render(plan.problems, plan.texts, coloured(sys.stderr)).rstrip("\n"))
        raise Stop(code=1)
    remark(f"{len(plan.runs)} runs below {folder}, all of them sound.")
    with Lines(len(plan.runs)) as lines:
        try:
            swept = run.run(plan, folder, jobs, start, lines)
        except OSError as error:
            refuse(f"cannot write the sweep into `{folder}`: {disk.reason(error)}", 1)
    say(str(swept))
    say()
    for name, meaning in PARTS.items():
        if (folder / name).exists():
            say(f"  {folder / name!s:36} {meaning}")
    if not swept.whole:
        say("go on: the same command again")
        return 130
    return 1 if any(row.status == "failed" for row in swept.rows) else 0


PARTS = {
    "results.md": "the table (and results.csv, results.json)",
    "results.png": "the loss by what varies (and results.svg)",
    "curves.png": "the loss of every combination by step (and curves.svg)",
}


class Lines:
    """A bar of all runs on a terminal; off it, a line for each that ends."""

    def __init__(self, count: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.count, self.over, self.began = count, 0, time.monotonic()
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.fields[at]}"),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
            console=self._console,
            auto_refresh=False,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=float(count), at="", facts="")
        self._first: float | None = None

    def moved(self, done: float, running: Sequence[str]) -> None:
        """Move the bar."""
        from tfdsl.sweeping.table import clock

        if self._first is None:
            self._first = done
        passed, share = time.monotonic() - self.began, done - self._first
        left = f" · {clock(passed / share * (self.count - done))} left" if share > 0 and done < self.count else ""
        at = f"{done:.1f} of {self.count} runs"
        self._bar.update(self._task, completed=done, at=at, facts="; ".join(running[:2]) + left)
        self._bar.refresh()

    def ended(self, run: Planned, seconds: float) -> None:
        """Say what a run came to."""
        from tfdsl.sweeping import results, table

        (row,) = results.collect([run])
        figures = ", ".join(f"{name} {results.number(value)}" for name, value in row.figures.items())
        told = row.reason if row.status == "failed" else figures
        line = f"{row.name}: {row.status} in {table.clock(seconds)}" + (f", {told}" if told else "")
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
