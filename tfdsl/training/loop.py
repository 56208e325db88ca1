"""The training loop: steps, measurements, checkpoints, and a clean end whatever ends it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tfdsl import disk, heads
from tfdsl.diagnostics import Diagnostic
from tfdsl.training import blame, checkpoint, groups, order, parallel, peak, shards, signals, sums
from tfdsl.training.average import Average
from tfdsl.training.compiling import Compiled, pays
from tfdsl.training.guards import first
from tfdsl.training.log import Log
from tfdsl.training.masters import Masters
from tfdsl.training.meter import Meter
from tfdsl.training.optimizer import Optimizer, freeze
from tfdsl.training.outcome import Diverged, End, Outcome, Unfit, early
from tfdsl.training.pace import Pace
from tfdsl.training.patience import Patience
from tfdsl.training.prefetch import Ahead
from tfdsl.training.prepare import Job
from tfdsl.training.processes import Processes
from tfdsl.training.progress import Report
from tfdsl.training.saving import Saver, Unsaved
from tfdsl.training.schedule import rate
from tfdsl.training.task import HELD_OUT, Batch, Measured

CALMER = "the weights before it are saved; try a lower `train.optimizer.lr`, or a longer `train.schedule.warmup`"
MEASURED_TOKENS = 4096  # tokens a batch of a measurement, which keeps no gradients


class Loop:
    """A model in training. `run` takes it from the step that it stands at to the end."""

    def __init__(
        self, job: Job, report: Report, log: Log, start: checkpoint.Checkpoint | None, processes: Processes
    ) -> None:
        self.job, self.report, self.log, self.set, self.task = job, report, log, job.settings, job.task
        self.processes = processes
        self.task.join(processes)
        self.step, self.seconds, self.loss = 0, 0.0, math.nan
        self.best, self.judged = Patience(self.set.evaluate.patience, self.set.evaluate.min_delta), -1
        self.held_out: Measured | None = None
        self.told, self.whole = dict[str, Any](), False  # the last measurement, and whether it was of all
        torch.default_generator.manual_seed(self.set.seed)
        self.model = job.subject.build().to(processes.device)
        self.masters = Masters(self.model) if self.set.precision == "bfloat16_weights" else None
        with torch.no_grad(), self._cast():
            self.task.begin(self.model.eval(), job.data, job.folder, start is None)
        parts = groups.part(job.subject.known(), self.set.optimizer)
        freeze(self.model, parts)
        alike = self.task.lengths(job.data.train)
        self.lengths = None if alike is None else order.Lengths(alike, self.set.batch)
        self.said: list[Diagnostic] = []
        self.spread = self._spread()
        held = self.masters.held if self.masters else None
        self.optimizer = Optimizer(self.model, self.set.optimizer, parts, held)
        self.average = Average(self.model, self.set.average.decay, held) if self.set.average else None
        most = peak.peak(self.set.precision, processes.device.type) if job.subject.costs is not None else None
        self.meter = Meter(job.subject.signature, job.subject.costs, most, self.processes.count)
        if start is not None:
            self._restore(start)
        self.weights = self.optimizer.weights
        left = None if self.spread.way == "fsdp" else job.subject.head  # sharded, its weight is whole in its call alone
        self.plain = heads.leave(self.model, left, self.model)
        asked = pays(self.set.compile, processes.device.type)
        self.compiled = Compiled(self.spread.call, self.said.append) if asked else None
        self.call = heads.leave(self.model, left, self.compiled or self.spread.call)
        self.started, self.first = time.monotonic() - self.seconds, self.step
        self.clock, self.measuring, self.fault = self.seconds, 0.0, ""
        self.ahead = Ahead(self._passes, self.set.steps)
        self.pace = Pace(torch.get_num_threads(), torch.set_num_threads) if self.set.threads == "auto" else None
        root, split = job.folder / "checkpoints", self.spread.way == "fsdp"
        self.sums = sums.of(job.folder) if processes.first else {}
        self.saver = Saver(root, processes, split, start.step if start else -1, report.saved)

    def _spread(self) -> parallel.Spread:
        """Lay the model over the processes; a weight that a pass does not reach is found beforehand, and left out."""
        way: parallel.Way = "one"
        if self.processes.count > 1:
            way = "fsdp" if self.set.parallel == "fsdp" else "ddp"
        moved: tuple[str, ...] = ()
        if way != "one" or self.set.recompute != "none":
            self.model.train()
            tried = parallel.attempt(self.model, lambda: self._trial(self.model), self.processes)
            moved = tried.moved
            if tried.unused:
                self.said.append(blame.unused(tried.unused))
                parallel.freeze(self.model, tried.unused)
        if self.set.recompute == "blocks" and not parallel.recompute(self.model, moved):
            message = "`train.recompute` is `blocks`, and the model has no block that can be computed again"
            help_ = "leave it out, or have a `repeat` make the blocks"
            raise Unfit(Diagnostic("R764", message, self.job.subject.where("train.recompute"), help=help_))
        low = torch.bfloat16 if self.set.precision == "bfloat16" and self.processes.device.type == "cuda" else None
        spread = parallel.spread(self.model, way, self.processes, low, moved)
        if way == "ddp" and self.processes.count > 2:
            # DDP orders its sums anew after a first pass: here, so that a run that is taken up again adds as before
            self._trial(spread.call).backward()
            self.model.zero_grad()
        return spread

    def _trial(self, call: Callable[..., Any]) -> Tensor:
        """Return the loss of the first pass of the run, as the model stands."""
        self._seed(0)
        batch = self._passes(0)[0]
        with self._cast():
            part = self.task.loss(call, batch)
        return part + self._own(part)

    def run(self) -> Outcome:
        """Train to the last step, the last minute, a signal, or a loss that is no number."""
        end: End = "steps"
        problems: tuple[Diagnostic, ...] = ()
        slow = first(self.model, self.set.threads)
        self.said += slow
        self.report.warned(slow)
        with signals.caught(self.processes.count > 1) as stopped, self.ahead:
            self.model.train()
            try:
                if self.saver.last < 0:
                    self._save()  # what can be taken up is there from the start, and that it can be written is known
                try:
                    end = self._steps(stopped)
                except Diverged as problem:
                    end, problems = "diverged", (Diagnostic("R709", str(problem), help=CALMER),)
                self._finish(hurried=end in ("signal", "diverged"))
            except Unsaved as problem:
                end, problems = "unsaved", (Diagnostic("R761", str(problem), help=self._kept()),)
            finally:
                self.saver.close()
        seconds = time.monotonic() - self.started
        self.said += early(self.set, end, self.step, self.job.subject.where)
        return Outcome(
            end, self.step, self.loss, self.held_out, seconds, (*self.said, *problems), signal=stopped.number
        )

    def _steps(self, stopped: Event) -> End:
        """Take steps to the end, and say what it was."""
        while self.step < self.set.steps and self._passed() < 1 and not self.best.over:
            began = time.monotonic()
            self.advance()
            if self.pace is not None:
                self.pace.stepped(time.monotonic() - began)
            self._keep()
            if self._agreed(stopped):
                return "signal"
        if self.step == self.set.steps:
            return "steps"
        return "patience" if self.best.over else "minutes"

    def _agreed(self, stopped: Event) -> bool:
        """Return whether any process was told to stop; share the clock, and what else all must know at one step."""
        facts = [stopped.is_set(), bool(self.fault), self.saver.ready, time.monotonic() - self.started]
        if not self.processes.first:
            facts[3] = 0.0
        stop, fault, ready, self.clock = self.processes.total(torch.tensor(facts, dtype=torch.float64)).tolist()
        if fault:
            raise Unsaved(next(each for each in self.processes.told(self.fault) if each))
        if ready == self.processes.count:
            self.saver.finish()
        return stop > 0

    def advance(self) -> None:
        """Take one step."""
        self._seed(self.step)
        passes = self.ahead.take(self.step)
        count = self.processes.total(torch.tensor([float(sum(each.count for each in passes))])).item()
        summed = torch.zeros(2, dtype=torch.float64)  # of the task, and of the model's own layers
        for place, batch in enumerate(passes):
            with self.spread.passing(last=place == len(passes) - 1):
                with self._cast():
                    part = self.task.loss(self.call, batch) / count
                own = self._own(part) / (len(passes) * self.processes.count)
                (part + own).backward()
            if self.masters is not None:
                self.masters.take()
            summed += torch.tensor([part.item(), own.item()], dtype=torch.float64)
        if self.step == 0 and self.spread.way == "one":
            self._idle()
        self.spread.settle()
        loss, own = self.processes.total(summed).tolist()
        norm = self.spread.norm(self.weights)
        if not math.isfinite(loss + own) or not norm.isfinite():
            raise Diverged(self._where(loss, passes))
        if self.set.clip and norm > self.set.clip:
            self.spread.scale(self.weights, self.set.clip / (norm + 1e-6))
        learning = self._rate()
        self.optimizer.set_rate(learning)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.masters is not None:
            self.masters.give()
        self.step, self.loss = self.step + 1, loss
        if self.average is not None:
            self.average.stepped(self.step)
        facts = {"auxiliary": own} if own else {}
        self._tell(passes, {"lr": learning, "norm": norm.item(), **facts})

    def _idle(self) -> None:
        """Say which weights the first step has no gradient for; several processes have found them beforehand."""
        held = dict(self.model.named_parameters()) | (self.masters.held if self.masters else {})
        names = [name for name, each in self.model.named_parameters() if each.requires_grad and held[name].grad is None]
        if names:
            self.said.append(blame.unused(tuple(names)))
            self.report.warned(self.said[-1:])

    def _rate(self) -> float:
        """Return the learning rate of the step that comes."""
        return rate(self.set.schedule, self.set.optimizer.lr, self.step + 1, self.set.steps, self._passed())

    def _own(self, part: Tensor) -> Tensor:
        """Return what the model's layers add to the loss of the last forward pass (experts' balance), or 0."""
        own: Callable[[], Tensor] | None = getattr(self.model, "auxiliary_loss", None)
        return part.new_zeros(()) if own is None else own()

    def _seed(self, step: int) -> None:
        """Make what a step draws (dropout) a function of the seed, the step and the process."""
        drawn = np.random.SeedSequence([self.set.seed, step, self.processes.rank]).generate_state(1, np.uint64)
        torch.manual_seed(int(drawn[0]))

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
        return [self.task.batch(table, each).to(self.processes.device) for each in shares]

    def _tell(self, passes: list[Batch], facts: dict[str, float]) -> None:
        passed = time.monotonic() - self.started
        trained = passed - self.seconds - self.measuring
        use = self.meter.stepped(passes, trained, self.ahead.waiting)
        left = (self.set.steps - self.step) * (passed - self.seconds) / (self.step - self.first)
        if self.set.minutes is not None:
            left = max(0.0, min(left, self.set.minutes * 60 - passed))
        entry = {"step": self.step, "loss": self.loss, **facts, "seconds": round(passed, 3)}
        if self.compiled is not None and self.compiled.seconds:
            entry["compiling"] = round(self.compiled.seconds, 1)  # so far, with the passes that it was done for
        self._write(entry | {"tokens": self.meter.tokens} | use.told())
        self.report.used(use)
        self.report.stepped(self.step, self.loss, use.tokens, passed / (passed + left), left)

    def _write(self, entry: dict[str, Any]) -> None:
        """Log an entry; that it cannot be is known to all processes at the end of the step."""
        try:
            self.log.write(entry)
        except OSError as error:
            self.fault = f"the log of `{self.job.folder}` cannot be written: {disk.reason(error)}"

    def _keep(self) -> None:
        """Measure and save where it is due."""
        due = self.step % self.set.checkpoint.every == 0
        if self.step % self.set.evaluate.every == 0:
            due = self._judge() or due
        if due and self.step < self.set.steps:
            self._save()

    def _judge(self) -> bool:
        """Measure as many examples as at any other step; return whether these are the best weights so far."""
        count = self.set.evaluate.batches
        most = None if count == "all" else count * self.set.batch
        self.judged = self.step
        self.whole = most is None or most >= self.task.examples(self.job.data.held_out, HELD_OUT)
        return self.best.measured(self._measure(most).loss, self.step)

    def _finish(self, hurried: bool) -> None:
        if not hurried and self.judged != self.step:
            self._judge()  # the last weights may be the best ones
        if self.set.evaluate.final and not hurried:
            if self.told.get("step") == self.step and self.whole:
                self._write(self.told | {"whole": True})  # nothing is measured twice
            else:
                self._measure(None, whole=True)
        self._save()
        self.saver.finish()

    def _measure(self, most: int | None, whole: bool = False) -> Measured:
        began = time.monotonic()
        table = self.job.data.held_out
        rows = max(self.set.batch, MEASURED_TOKENS // (self.set.context or 1))
        places = order.held_out(self.task.examples(table, HELD_OUT), rows, most, self.processes.count)
        shares = (order.share(each, self.processes.rank, self.processes.count) for each in places)
        self.model.eval()
        with torch.no_grad(), self._cast(), self._averaged():
            batches = (self.task.batch(table, each).to(self.processes.device) for each in shares)
            measured = self.task.measure(self.plain, batches, self.processes)
        self.model.train()
        facts = {"held_out": measured.loss, "count": measured.count, "figures": dict(measured.figures)}
        self.told = {"step": self.step, **facts}
        self._write(self.told | ({"whole": True} if whole else {}))
        self.report.measured(self.step, measured)
        self.measuring += time.monotonic() - began
        self.held_out = measured
        return measured

    def _save(self) -> None:
        """Save, or begin to."""
        state = {
            "held_out": self.held_out and self.held_out.loss,
            **self.best.state(),
            **self.meter.state(),
            "seconds": time.monotonic() - self.started,
            "judged": self.judged,
            sums.KEY: self.sums,
        }
        try:
            self.log.flush(sync=True)
        except OSError as error:
            self.fault = f"the log of `{self.job.folder}` cannot be written: {disk.reason(error)}"
        with self._averaged():
            moments = self.optimizer.state() | (self.average.state() if self.average else {})
            weights = checkpoint.tensors(self.model) | (self.masters.tensors() if self.masters else {})
            self.saver.save(self.step, weights, moments, state)

    def _kept(self) -> str:
        if self.saver.last < 0:
            return "nothing was saved before it: make room, or choose another folder with `-o`"
        return f"step {self.saver.last:,} is saved: make room, then take the run up again with `--resume`"

    def _restore(self, start: checkpoint.Checkpoint) -> None:
        own = checkpoint.tensors(self.model)
        try:
            self._refill(start, own)
        except ValueError as error:  # of an older run, whose spec no sum tells from another
            message = (
                f"the weights in `{start.folder}` are not those of the run's spec: {str(error).partition(': ')[2]}"
            )
            raise Unfit(Diagnostic("R706", message, help="put the spec back as it was; nothing was changed")) from None
        self.step = start.step
        self.seconds = start.state["seconds"]
        self.best.restore(start.state)
        self.judged = start.state.get("judged", -1)
        self.meter.restore(start.state)

    def _refill(self, start: checkpoint.Checkpoint, own: dict[str, Tensor]) -> None:
        """Fill the model and what the optimiser remembers; raises ValueError where the weights are not the model's."""
        if start.parted and self.processes.count > 1:
            shards.fill(start.folder, own, self.processes.aside())
            moments = shards.moments(start.folder, own, self.processes.aside())
        else:
            weights = start.weights()
            checkpoint.fill(self.model, shards.parted(weights, own))
            if self.masters is not None:
                self.masters.fill(weights)
            moments = shards.parted(start.moments(), own)
        if self.average is not None:
            moments = self.average.restore(moments)
            if self.masters is not None:
                self.masters.give()
        self.optimizer.restore(moments)

    def _passed(self) -> float:
        """Return how much of `minutes` is gone, from 0 to 1; 0 where the time is not limited."""
        if self.set.minutes is None:
            return 0.0
        passed = time.monotonic() - self.started if self.processes.count == 1 else self.clock
        return min(1.0, passed / (self.set.minutes * 60))

    def _averaged(self) -> AbstractContextManager[object]:
        give = self.masters.give if self.masters else lambda: None
        return contextlib.nullcontext() if self.average is None else self.average.in_place(give)

    def _cast(self) -> AbstractContextManager[object]:
        low = self.set.precision != "float32"
        return torch.autocast(self.processes.device.type, torch.bfloat16) if low else contextlib.nullcontext()

    def _where(self, loss: float, passes: list[Batch]) -> str:
        """Say which step broke, and where."""

        def again() -> None:
            self._seed(self.step)
            for batch in passes:
                with torch.no_grad(), self._cast():
                    self.task.loss(self.plain, batch)

        held = dict(self.model.named_parameters()) | (self.masters.held if self.masters else {})
        at = blame.place(self.model, held, again, self.processes)
        what = "the gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
        return f"at step {self.step + 1:,} {what}{at}; the step was not taken"
