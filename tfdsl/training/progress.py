"""What a person sees while a model trains: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tfdsl import report
from tfdsl.diagnostics import Diagnostic
from tfdsl.training.meter import Use
from tfdsl.training.task import Measured

LEAST = 8  # columns for the bar itself and the gaps
WORTH = 0.02  # share of the time spent waiting for data that is worth a word


class Report(Protocol):
    """What a training run tells as it goes."""

    def stepped(self, step: int, loss: float, speed: float, done: float, left: float) -> None:
        """Hear of a step: its number, loss, tokens a second, the share that is done, seconds left."""

    def measured(self, step: int, held_out: Measured) -> None:
        """Hear of a measurement on held-out text."""

    def saved(self, step: int) -> None:
        """Hear of a checkpoint."""

    def used(self, use: Use) -> None:
        """Hear how the machine is used, before each step is told."""

    def warned(self, found: Sequence[Diagnostic]) -> None:
        """Hear, before the first step, what may go wrong."""


class Quiet:
    """Say nothing."""

    def stepped(self, step: int, loss: float, speed: float, done: float, left: float) -> None:
        """Say nothing of a step."""

    def measured(self, step: int, held_out: Measured) -> None:
        """Say nothing of a measurement."""

    def saved(self, step: int) -> None:
        """Say nothing of a checkpoint."""

    def used(self, use: Use) -> None:
        """Say nothing of the machine."""

    def warned(self, found: Sequence[Diagnostic]) -> None:
        """Say nothing: who called is told at the end."""


class Bar:
    """A live bar with loss, held-out figures, tokens a second, share of the machine's peak, and time left.

    Off a terminal, it is a line a measurement, and one at least each `EVERY` seconds. `texts` are those that warnings
    show the places in; `said` is what was told of them.
    """

    EVERY = 60.0

    def __init__(self, steps: int, console: Console | None = None, texts: Mapping[str, str] | None = None) -> None:
        self.said: list[Diagnostic] = []
        self._texts = texts or {}
        self._use: Use | None = None
        self._printed = time.monotonic()
        self._console = console or Console(stderr=True)
        self._steps = steps
        self._held = ""
        self._drawn = 0.0
        self._line = ""
        self._bar = Progress(
            TextColumn("{task.fields[at]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}"),
            console=self._console,
            auto_refresh=False,  # a thread of its own would take time from the training
            disable=not self._console.is_terminal,
            expand=True,
        )
        self._task: TaskID = self._bar.add_task("", total=1.0, at="", facts="")

    def stepped(self, step: int, loss: float, speed: float, done: float, left: float) -> None:
        """Move the bar, at most four times a second."""
        now = time.monotonic()
        if now - self._drawn < 0.25 and step != self._steps:
            return
        self._drawn = now
        self._line = f"{speed:,.0f} tokens/s{self._of_peak()} · {clock(left)} left"
        facts = f"loss {loss:.3f}{self._held} · {self._line}"
        if not self._console.is_terminal and now - self._printed > self.EVERY:
            self._print(f"step {step:,} · {facts}")
        at = f"step {step:,} · {done:.0%}"
        room = self._console.width - len(at) - LEAST
        shown = self._fitting(room, f"loss {loss:.3f}", f"{speed:,.0f} tokens/s", f"{clock(left)} left")
        self._bar.update(self._task, completed=done, at=at, facts=shown)
        self._bar.refresh()

    def measured(self, step: int, held_out: Measured) -> None:
        """Show the held-out loss beside the training loss from here on."""
        self._held = f" · held out {held_out.loss:.3f}{figures(held_out)}"
        if not self._console.is_terminal:
            self._print(f"step {step:,}{self._held} · {self._line}")

    def saved(self, step: int) -> None:
        """Say nothing: a checkpoint is no news."""

    def used(self, use: Use) -> None:
        """Keep it for the next line."""
        self._use = use

    def warned(self, found: Sequence[Diagnostic]) -> None:
        """Show what may go wrong, above the bar."""
        if found:
            self.said += found
            page = report.render(found, self._texts, self._console.is_terminal and not self._console.no_color)
            self._console.out(page, highlight=False)

    def _fitting(self, room: int, loss: str, speed: str, left: str) -> str:
        """Return the facts that have room: the figures go first, then the shares, the speed, the held-out loss."""
        shares = self._of_peak().removeprefix(" · ")
        plain = self._held.partition(" (")[0].removeprefix(" · ")
        full = self._held.removeprefix(" · ")
        for facts in (
            (loss, full, speed, shares, left),
            (loss, plain, speed, shares, left),
            (loss, plain, speed, left),
            (loss, plain, left),
        ):
            line = " · ".join(filter(None, facts))
            if len(line) <= room:
                return line
        return f"{loss} · {left}"

    def _of_peak(self) -> str:
        """Return the share of the machine's peak, and that of the time that waits for data where it is one to see."""
        if self._use is None:
            return ""
        peak = "" if self._use.share is None else f" · {percent(self._use.share)} of peak"
        return peak + (f" · {percent(self._use.waiting)} waiting for data" if self._use.waiting >= WORTH else "")

    def _print(self, line: str) -> None:
        self._printed = time.monotonic()
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()


def figures(measured: Measured) -> str:
    """Return the figures beside a loss, as ` (1.234 bits a byte, 5.1 perplexity)`."""
    told = ", ".join(f"{value:.4g} {name}" for name, value in measured.figures.items())
    return f" ({told})" if told else ""


def percent(share: float) -> str:
    """Return a share as `62 %`, a small one as `0.9 %`."""
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f} %"


def clock(seconds: float) -> str:
    """Return a duration as `1:05` or `2:03:04`."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
