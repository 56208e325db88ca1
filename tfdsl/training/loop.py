"""The training loop: steps, measurements, checkpoints, and a clean end whatever ends it."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tfdsl.diagnostics import Diagnostic
from tfdsl.training import attention, blame, checkpoint, compiling, groups, guards, head, memory, order, products
from tfdsl.training.average import Average
from tfdsl.training.compiling import Compiled
from tfdsl.training.log import Log
from tfdsl.training.optimizer import Optimizer, freeze
from tfdsl.training.pace import Pace
from tfdsl.training.patience import Patience
from tfdsl.training.prefetch import Ahead
from tfdsl.training.prepare import Job
from tfdsl.training.processes import Processes
from tfdsl.training.progress import Report
from tfdsl.training.schedule import rate
from tfdsl.training.task import HELD_OUT, Batch, Measured

End = Literal["steps", "minutes", "patience", "signal", "diverged"]
MEASURED_TOKENS = 4096  # tokens a batch of a measurement, which keeps no gradients


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training run ended, after which step; `loss` in nats a token, `held_out` if it was measured."""

    end: End
    step: int
    loss: float
    held_out: Measured | None
    seconds: float
    diagnostics: tuple[Diagnostic, ...] = ()


class Diverged(Exception):
    """A loss or a gradient is not a finite number; the step was not taken."""


class Loop:
    """A model in training. `run` takes it from the step that it stands at to the end."""

    def __init__(self, job: Job, report: Report, log: Log, start: checkpoint.Checkpoint | None) -> None:
        self.job, self.report, self.log, self.set, self.task = job, report, log, job.settings, job.task
        self.processes = Processes()
        self.task.join(self.processes)
        self.step, self.seconds, self.last_saved, self.loss = 0, 0.0, 0, math.nan
        self.best = Patience(self.set.evaluate.patience, self.set.evaluate.min_delta)
        self.held_out: Measured | None = None
        torch.default_generator.manual_seed(self.set.seed)
        self.model = job.subject.build()
        parts = groups.part(job.subject.known(), self.set.optimizer)
        freeze(self.model, parts)
        self.optimizer = Optimizer(self.model, self.set.optimizer, parts)
        self.average = Average(self.model, self.set.average.decay) if self.set.average else None
        if start is not None:
            self._restore(start)
        self.weights = self.optimizer.weights
        self.plain = head.leave(self.model, job.subject.head, self.model)
        self.said: list[Diagnostic] = []
        self.compiled = Compiled(self.model, self.said.append) if self._compiles() else None
        self.call = head.leave(self.model, job.subject.head, self.compiled or self.model)
        alike = self.task.lengths(job.data.train)
        self.lengths = None if alike is None else order.Lengths(alike, self.set.batch)
        self.started, self.tokens, self.first = time.monotonic() - self.seconds, 0, self.step
        self.measuring = 0.0
        self.ahead = Ahead(self._passes, self.set.steps)
        self.pace = Pace(torch.get_num_threads(), torch.set_num_threads) if self.set.threads == "auto" else None

    def run(self) -> Outcome:
        """Train to the last step, the last minute, a signal, or a loss that is no number."""
        end: End = "steps"
        problems: tuple[Diagnostic, ...] = ()
        self.said += guards.first(self.model, self.set.threads)
        with _signals() as stopped, self.ahead:
            self.model.train()
            while self.step < self.set.steps and self._share() < 1 and not self.best.over:
                began = time.monotonic()
                try:
                    self.advance()
                except Diverged as problem:
                    end, problems = "diverged", (Diagnostic("R709", str(problem), help=_calmer()),)
                    break
                if self.pace is not None:
                    self.pace.stepped(time.monotonic() - began)
                self._keep()
                if stopped.is_set():
                    end = "signal"
                    break
            self._finish(hurried=stopped.is_set() or end == "diverged")
        if end == "steps" and self.step < self.set.steps:
            end = "patience" if self.best.over else "minutes"
        said = (*self.said, *problems)
        return Outcome(end, self.step, self.loss, self.held_out, time.monotonic() - self.started, said)

    def advance(self) -> None:
        """Take one step."""
        torch.default_generator.manual_seed((self.set.seed << 32) + self.step)  # dropout: a function of seed and step
        passes = self.ahead.take(self.step)
        count = self.processes.total(torch.tensor([float(sum(each.count for each in passes))])).item()
        summed = torch.zeros(2, dtype=torch.float64)  # of the task, and of the model's own layers
        for batch in passes:
            with self._cast():
                part = self.task.loss(self.call, batch) / count
            own = self._own(part) / (len(passes) * self.processes.count)
            (part + own).backward()
            summed += torch.tensor([part.item(), own.item()], dtype=torch.float64)
        loss, own = self.processes.total(summed).tolist()
        norm = nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
        if not math.isfinite(loss + own) or not norm.isfinite():
            raise Diverged(self._where(loss, passes))
        if self.set.clip and norm > self.set.clip:
            nn.utils.clip_grads_with_norm_(self.weights, self.set.clip, norm)
        learning = self._rate()
        self.optimizer.set_rate(learning)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step, self.loss = self.step + 1, loss
        if self.average is not None:
            self.average.stepped(self.step)
        facts = {"auxiliary": own} if own else {}
        self._tell(sum(each.tokens for each in passes), {"lr": learning, "norm": norm.item(), **facts})

    def _compiles(self) -> bool:
        return compiling.pays(self.set.compile, next((each.device.type for each in self.model.parameters()), "cpu"))

    def _rate(self) -> float:
        """Return the learning rate of the step that comes."""
        return rate(self.set.schedule, self.set.optimizer.lr, self.step, self._share())

    def _own(self, part: Tensor) -> Tensor:
        """Return what the model's layers add to the loss of the last forward pass (experts' balance), or 0."""
        own: Callable[[], Tensor] | None = getattr(self.model, "auxiliary_loss", None)
        return part.new_zeros(()) if own is None else own()

    def _passes(self, step: int) -> list[Batch]:
        """Return this process's share of the passes of a step (from 0)."""
        table, rows = self.job.data.train, self.set.batch
        first = step * rows * self.set.accumulate

        def count(epoch: int) -> int:
            return self.task.examples(table, epoch)

        places = order.places(count, self.set.seed, first, first + rows * self.set.accumulate, self.lengths)
        shares = [
            order.share(places[at : at + rows], self.processes.rank, self.processes.count)
            for at in range(0, len(places), rows)
        ]
        return [self.task.batch(table, each) for each in shares]

    def _tell(self, tokens: int, facts: dict[str, float]) -> None:
        self.tokens += tokens
        passed = time.monotonic() - self.started
        trained = passed - self.seconds - self.measuring
        speed = self.tokens / trained
        left = (self.set.steps - self.step) * (passed - self.seconds) / (self.step - self.first)
        if self.set.minutes is not None:
            left = max(0.0, min(left, self.set.minutes * 60 - passed))
        entry = {"step": self.step, "loss": self.loss, **facts, "seconds": round(passed, 3)}
        if self.compiled is not None and self.compiled.seconds:
            entry["compiling"] = round(self.compiled.seconds, 1)  # so far, with the passes that it was done for
        waiting = round(self.ahead.waiting / trained, 4)  # the share of the time that went by without a batch
        self.log.write(entry | {"tokens_per_second": round(speed), "waiting": waiting})
        self.report.stepped(self.step, self.loss, speed, passed / (passed + left), left)

    def _keep(self) -> None:
        """Measure and save where it is due."""
        due = self.step % self.set.checkpoint.every == 0
        if self.step % self.set.evaluate.every == 0:
            count = self.set.evaluate.batches
            measured = self._measure(None if count == "all" else count * self.set.batch)
            due = self.best.measured(measured.loss, self.step) or due
        if due and self.step < self.set.steps:
            self._save()

    def _finish(self, hurried: bool) -> None:
        if self.set.evaluate.final and not hurried:
            self._measure(None)
        self._save()

    def _measure(self, most: int | None) -> Measured:
        began = time.monotonic()
        table = self.job.data.held_out
        rows = max(self.set.batch, MEASURED_TOKENS // (self.set.context or 1))
        places = order.held_out(self.task.examples(table, HELD_OUT), rows, most)
        shares = (order.share(each, self.processes.rank, self.processes.count) for each in places)
        self.model.eval()
        with torch.no_grad(), self._cast(), self._averaged():
            batches = (self.task.batch(table, each) for each in shares)
            measured = self.task.measure(self.plain, batches, self.processes)
        self.model.train()
        facts = {"held_out": measured.loss, "count": measured.count, "figures": dict(measured.figures)}
        self.log.write({"step": self.step, **facts})
        self.report.measured(self.step, measured)
        self.measuring += time.monotonic() - began
        self.held_out = measured
        return measured

    def _save(self) -> None:
        state = {
            "held_out": self.held_out and self.held_out.loss,
            **self.best.state(),
            "seconds": time.monotonic() - self.started,
        }
        root = self.job.folder / "checkpoints"
        with self._averaged():
            moments = self.optimizer.state() | (self.average.state() if self.average else {})
            checkpoint.save(root, self.step, checkpoint.tensors(self.model), moments, state)
        checkpoint.prune(root, {self.step, self.last_saved, self.best.step})
        if self.last_saved != self.step:
            self.last_saved = self.step
            self.report.saved(self.step)

    def _restore(self, start: checkpoint.Checkpoint) -> None:
        checkpoint.fill(self.model, start.weights())
        moments = start.moments()
        if self.average is not None:
            moments = self.average.restore(moments)
        self.optimizer.restore(moments)
        self.step = self.last_saved = start.step
        self.seconds = start.state["seconds"]
        self.best.restore(start.state)

    def _share(self) -> float:
        """Return how much of the training lies behind, from 0 at the end of the warm-up to 1."""
        warmup = self.set.schedule.warmup
        share = (self.step - warmup) / max(1, self.set.steps - warmup)
        if self.set.minutes is not None:
            share = max(share, (time.monotonic() - self.started) / (self.set.minutes * 60))
        return min(1.0, share)

    def _averaged(self) -> AbstractContextManager[object]:
        return contextlib.nullcontext() if self.average is None else self.average.in_place()

    def _cast(self) -> AbstractContextManager[object]:
        if self.set.precision == "bfloat16":
            return torch.autocast("cpu", torch.bfloat16)
        return contextlib.nullcontext()

    def _where(self, loss: float, passes: list[Batch]) -> str:
        """Say which step broke, and where: the first node without a finite output, else the weight nearest the end."""

        def again() -> None:
            torch.default_generator.manual_seed((self.set.seed << 32) + self.step)
            for batch in passes:
                with torch.no_grad(), self._cast():
                    self.task.loss(self.plain, batch)

        what = "the gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
        node = blame.first_output(self.model, again)
        weight = None if node else blame.last_gradient(self.model)
        at = (
            f", first in the output of `{node}`"
            if node
            else f", nearest the end in that of `{weight}`"
            if weight
            else ""
        )
        return f"at step {self.step + 1:,} {what}{at}; the step was not taken"


def _calmer() -> str:
    return "the weights before it are saved; try a lower `train.optimizer.lr`, or a longer `train.schedule.warmup`"


@contextlib.contextmanager
def _signals() -> Generator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event, so that a step ends before the run does; a second one ends it at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame: object) -> None:
        stopped.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def process(threads: int | Literal["auto"] | None) -> Generator[None]:
    """Set the process up for training, and leave torch's random state and thread count as they were."""
    memory.keep()
    before = torch.get_num_threads()
    state = torch.get_rng_state()
    if isinstance(threads, int):
        torch.set_num_threads(threads)
    try:
        with attention.written_out(), products.fast():
            yield
    finally:
        torch.set_num_threads(before)
        torch.set_rng_state(state)
