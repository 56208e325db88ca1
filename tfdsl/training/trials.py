"""Short trainings that leave no run: the range test of the learning rate, and one batch learnt by heart."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tfdsl import disk, settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.settings.optimizer import Muon
from tfdsl.settings.schedule import Constant
from tfdsl.training import opening
from tfdsl.training.log import Log
from tfdsl.training.loop import Loop
from tfdsl.training.outcome import Diverged, Unfit
from tfdsl.training.prepare import Job, prepare
from tfdsl.training.process import process
from tfdsl.training.processes import joined
from tfdsl.training.progress import Report
from tfdsl.training.subject import Subject
from tfdsl.training.task import Batch

KEPT = 0.9  # share of the smoothed loss that stays, a step
BLOWN = 4.0  # the range test ends where the smoothed loss is this many times its least
LEARNT = 0.1  # share of the first loss below which a batch is learnt
STILL = 0.05  # a loss that fell by less than this share stands still
MOST, FEW = 500, 50  # steps on one batch, and those that tell nothing yet


@dataclass(frozen=True, slots=True)
class Rise:
    """A range test: the learning `rates` tried, each step's loss, that smoothed, and the rate that is `suggested`.

    None is suggested where the loss never fell.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]
    suggested: float | None


@dataclass(frozen=True, slots=True)
class Fit:
    """The losses of a training on one batch, and what keeps it from being learnt, or nothing."""

    losses: tuple[float, ...]
    fault: str = ""


class Trial(Loop):
    """A loop whose rate is a function of the step, on the batches of a run or on those of one step alone."""

    job: Job
    rate: Callable[[int], float]
    one: list[Batch] | None = None

    def _rate(self) -> float:
        return self.rate(self.step)

    def hold(self) -> list[Batch]:
        """Stay with the batches of the first step."""
        self.one = super()._passes(0)
        return self.one

    def _passes(self, step: int) -> list[Batch]:
        return super()._passes(step) if self.one is None else self.one


def find(
    subject: Subject, chosen: settings.Train, bar: Callable[[int], AbstractContextManager[Report]]
) -> tuple[Rise | None, list[Diagnostic]]:
    """Let the learning rate rise by a factor each step until the loss explodes (Smith, 2017, arXiv:1506.01186).

    The suggested rate is a tenth of that at which the smoothed loss was least. Raises nothing; what stands in the way
    is returned.
    """
    least, most, steps = chosen.find_lr.lowest, chosen.find_lr.highest, chosen.find_lr.steps
    rates = [least * (most / least) ** (step / max(1, steps - 1)) for step in range(steps)]
    losses: list[float] = []
    smooth: list[float] = []

    def run(trial: Trial) -> list[Diagnostic]:
        trial.rate = rates.__getitem__
        trial.model.train()
        while trial.step < steps:
            try:
                trial.advance()
            except Diverged:
                break  # the end of the test, as it should be
            losses.append(trial.loss)
            smooth[:] = smoothed(losses)
            if smooth[-1] > BLOWN * min(smooth):
                break
        return []

    problems = _try(subject, chosen.model_copy(update={"steps": steps, "average": None, "minutes": None}), bar, run)
    if problems:
        return None, problems
    tried = tuple(rates[: len(losses)])
    return Rise(tried, tuple(losses), tuple(smooth), suggested(tried, smooth)), []


def overfit(
    subject: Subject, chosen: settings.Train, bar: Callable[[int], AbstractContextManager[Report]]
) -> tuple[Fit | None, list[Diagnostic]]:
    """Train on the batches of the first step alone, without dropout, decay or smoothing, until they are known by heart.

    A model and a loss that are in order reach a tenth of the first loss soon; where they do not, the diagnostic names
    what is wrong.
    """
    steps = min(chosen.steps, MOST)
    losses: list[float] = []
    faults: list[str] = []
    peak = chosen.optimizer.lr
    rise = min(10, steps // 10)

    def run(trial: Trial) -> list[Diagnostic]:
        held = trial.hold()
        trial.rate = lambda step: peak * min(1.0, (step + 1) / (rise + 1))
        trial.model.eval()
        while trial.step < steps:
            try:
                trial.advance()
            except Diverged as problem:
                faults.append(f"{problem}: try a lower `train.optimizer.lr`")
                break
            losses.append(trial.loss)
            if losses[-1] < LEARNT * losses[0] / 5:
                break
        if not faults and losses[-1] >= LEARNT * losses[0]:
            faults.append(_fault(losses, trial, held))
        return []

    problems = _try(subject, _bare(chosen, steps), bar, run)
    if problems:
        return None, problems
    if not faults:
        return Fit(tuple(losses)), []
    there = f"the loss went from {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses):,} steps" if losses else ""
    message = f"one batch was not learnt{': ' + there if there else ''}"
    return Fit(tuple(losses), faults[0]), [Diagnostic("R774", message, help=faults[0])]


def smoothed(losses: Sequence[float]) -> list[float]:
    """Average exponentially, corrected for the start."""
    mean, found = 0.0, []
    for step, loss in enumerate(losses, 1):
        mean = KEPT * mean + (1 - KEPT) * loss
        found.append(mean / (1 - KEPT**step))
    return found


def suggested(rates: Sequence[float], smooth: Sequence[float]) -> float | None:
    """Return a tenth of the rate at which the smoothed loss was least; None where it never fell."""
    if not smooth or min(smooth) > (1 - STILL / 5) * smooth[0]:
        return None
    return rates[min(range(len(smooth)), key=smooth.__getitem__)] / 10


def draw(rise: Rise, path: Path, title: str) -> None:
    """Draw the loss by the learning rate, with the suggested one."""
    from matplotlib.figure import Figure  # a second to import, and wanted once

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(rise.rates, rise.losses, color="#9db8d9", linewidth=0.6, label="a step")
    axes.plot(rise.rates, rise.smooth, color="#2f6db5", linewidth=1.4, label="averaged")
    if rise.suggested is not None:
        axes.axvline(rise.suggested, color="#c4572b", linewidth=1.2, label=f"suggested: {rise.suggested:.1e}")
    axes.set(title=title, xlabel="learning rate", ylabel="loss (nats)", xscale="log")
    axes.set_ylim(top=1.1 * max(rise.smooth[0], *rise.smooth[: len(rise.smooth) // 2 + 1]))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg")
    disk.make(path.parent)
    disk.write(path, drawn.getvalue())


def _try(
    subject: Subject,
    chosen: settings.Train,
    bar: Callable[[int], AbstractContextManager[Report]],
    run: Callable[[Trial], list[Diagnostic]],
) -> list[Diagnostic]:
    """Run a trial in a folder that is gone afterwards."""
    problems = opening.device(chosen, subject)
    if problems:
        return problems
    if chosen.precision == "bfloat16_weights":  # a trial asks the model without the casts that those need
        chosen = chosen.model_copy(update={"precision": "bfloat16"})
    with tempfile.TemporaryDirectory() as name, process(chosen.threads), joined(chosen.device) as processes:
        job, problems = prepare(subject, chosen, settings.Sample(), Path(name))
        if job is None:
            return problems
        with bar(chosen.steps) as report, Log(Path(name) / "log.jsonl", 0) as log:
            try:
                trial = Trial(job, report, log, None, processes)
            except Unfit as unfit:
                return [unfit.diagnostic]
            try:
                with trial.ahead:
                    return run(trial)
            finally:
                trial.saver.close()


def _bare(chosen: settings.Train, steps: int) -> settings.Train:
    """Return the settings without all that keeps a loss from its floor."""
    moved = chosen.optimizer.model_copy(update={"weight_decay": 0.0})
    if isinstance(moved, Muon):
        moved = moved.model_copy(update={"rest": moved.rest.model_copy(update={"weight_decay": 0.0})})
    plain = {"label_smoothing": 0.0, "z_loss": 0.0, "average": None, "minutes": None}
    return chosen.model_copy(update={"steps": steps, "optimizer": moved, "schedule": Constant(warmup=0), **plain})


def _fault(losses: Sequence[float], trial: Trial, held: Sequence[Batch]) -> str:
    """Say what keeps the loss from falling, as far as it can be told."""
    first, last = losses[0], losses[-1]
    if max(losses) > 1.5 * first:
        return f"the loss rose to {max(losses):.3f}: try a lower `train.optimizer.lr`"
    before = losses[-max(2, len(losses) // 4)]
    if before - last > STILL * before or len(losses) < FEW:
        return "the loss was still on its way: try a higher `train.optimizer.lr`, or more `train.steps`"
    unmoved = _unmoved(trial, held[0])
    if unmoved:
        return f"no gradient reaches `{unmoved}`: nothing that is read depends on it"
    if _deaf(trial, held[0]):
        return "the loss is the same with another example's input: what the model reads does not reach what it says"
    return "the loss stands still: try a lower or a higher `train.optimizer.lr`, and look at what the model reads"


def _unmoved(trial: Trial, batch: Batch) -> str:
    """Return the name of a weight that a further pass gives no gradient, or nothing."""
    trial.task.loss(trial.plain, batch).backward()
    for name, weight in trial.model.named_parameters():
        if weight.requires_grad and (weight.grad is None or not weight.grad.any()):
            return name
    return ""


@torch.no_grad()
def _deaf(trial: Trial, batch: Batch) -> bool:
    """Return whether the loss stays as it is where each example gets the first input of the next one."""
    name, first = next(iter(batch.inputs.items()))
    other = replace(batch, inputs={**batch.inputs, name: first.roll(1, 0)})
    right, wrong = (trial.task.loss(trial.plain, each).item() for each in (batch, other))
    return abs(right - wrong) < 1e-3 * abs(right)
