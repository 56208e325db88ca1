"""How a run ends: at its last step, at a limit, by a signal, or by what keeps it from going on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic, Span
from tfdsl.training.task import Measured

End = Literal["steps", "minutes", "patience", "signal", "diverged", "unsaved"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training run ended, after which step; `loss` in nats a token, `held_out` if it was measured.

    `before` says that it had ended before it was taken up again, so that nothing was left to do;
    `signal` is the number of the signal that came, if one did.
    """

    end: End
    step: int
    loss: float
    held_out: Measured | None
    seconds: float
    diagnostics: tuple[Diagnostic, ...] = ()
    before: bool = False
    signal: int | None = None


class Diverged(Exception):
    """A loss or a gradient is not a finite number; the step was not taken."""


class Unfit(Exception):
    """A setting cannot be honoured for this model; found before the first step."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def ended(entries: Sequence[Mapping[str, Any]], step: int) -> Outcome | None:
    """Return the outcome of a run whose log tells its end at this step, where nothing is left to do."""
    last = entries[-1] if entries else {}
    if last.get("end") not in ("steps", "minutes", "patience") or last["step"] != step:
        return None
    loss = next((each["loss"] for each in reversed(entries) if "loss" in each), math.nan)
    held = next((each for each in reversed(entries) if "held_out" in each), None)
    measured = Measured(held["held_out"], held["count"], held["figures"]) if held else None
    return Outcome(last["end"], step, loss, measured, last["seconds"], before=True)


def early(train: settings.Train, end: End, step: int, where: Callable[[str], Span | None]) -> list[Diagnostic]:
    """Warn of a run that ended by the clock, or out of patience, while its learning rate still rose."""
    rise = train.schedule.warmup
    if end not in ("minutes", "patience") or step >= rise:
        return []
    message = f"the run ended after {step:,} of the {rise:,} steps of its warm-up: the learning rate came to "
    message += f"{step / rise:.0%} of `lr`"
    place, more = {
        "minutes": ("train.minutes", "more time (`train.minutes`)"),
        "patience": ("train.evaluate.patience", "more patience (`train.evaluate.patience`)"),
    }[end]
    help_ = f"a shorter warm-up (`train.schedule.warmup`), or {more}"
    return [Diagnostic("W632", message, where(place), label="over before the warm-up", help=help_)]
