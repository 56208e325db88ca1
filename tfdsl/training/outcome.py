"""How a run ends: at its last step, at a limit, by a signal, or by what keeps it from going on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic, Span
from tfdsl.training.schedule import highest
from tfdsl.training.task import Measured

End = Literal["steps", "minutes", "patience", "signal", "diverged", "unsaved"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training run ended, after which step; `loss` in nats a token, `held_out` if it was measured.

    `signal` is the number of the signal that came, if one did.
    """

    end: End
    step: int
    loss: float
    held_out: Measured | None
    seconds: float
    diagnostics: tuple[Diagnostic, ...] = ()
    signal: int | None = None


class Diverged(Exception):
    """A loss or a gradient is not a finite number; the step was not taken."""


class Unfit(Exception):
    """A setting cannot be honoured for this model; found before the first step."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def early(train: settings.Train, end: End, step: int, where: Span | None) -> list[Diagnostic]:
    """Warn of a run that ended by the clock, or out of patience, while its learning rate still rose."""
    rise, peak = train.schedule.warmup, train.optimizer.lr
    if end not in ("minutes", "patience") or step >= rise:
        return []
    share = highest(train.schedule, peak, step) / peak
    message = f"the run ended after {step:,} of the {rise:,} steps of its warm-up: the learning rate came to "
    message += f"{share:.0%} of `lr`"
    help_ = "a shorter `train.schedule.warmup`, or more time (`train.minutes`)"
    return [Diagnostic("W632", message, where, label="longer than the run", help=help_)]
