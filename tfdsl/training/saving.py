"""What saves a run: one process writes all of it, or each its part while training goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tfdsl import disk
from tfdsl.training import checkpoint, shards
from tfdsl.training.processes import Processes

Tensors = Mapping[str, Tensor]


class Unsaved(Exception):
    """A checkpoint could not be written; those before it are as they were. The text is a sentence."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A checkpoint that is being written: its step and state, and the SHA-256 sums of this process's files to come."""

    step: int
    state: dict[str, Any]
    sums: Future[dict[str, str]]


class Saver:
    """Saves the checkpoints of a run below `root`, and keeps the best, the last and the one before it.

    `saved` hears of each step whose checkpoint no kill and no power loss can take away any more.
    """

    def __init__(self, root: Path, processes: Processes, parted: bool, last: int, saved: Callable[[int], None]) -> None:
        self.root, self.processes, self.parted, self.last, self.saved = root, processes, parted, last, saved
        self.pending: Pending | None = None
        self._thread: ThreadPoolExecutor | None = None

    @property
    def ready(self) -> bool:
        """Return whether this process has written its part of the checkpoint that is under way."""
        return self.pending is not None and self.pending.sums.done()

    def save(self, step: int, weights: Tensors, moments: Tensors, state: dict[str, Any]) -> None:
        """Save a checkpoint, or begin to; raises Unsaved, on all processes, where one of them cannot write."""
        self.finish()
        if self.parted:
            self._begin(step, weights, moments, state)
            return
        wrong = ""
        if self.processes.first:
            try:
                checkpoint.save(self.root, step, dict(weights), dict(moments), state)
            except OSError as error:
                wrong = disk.reason(error)
        self._agree(wrong, step)
        self._acknowledge(step, state)

    def finish(self) -> None:
        """Wait for the checkpoint that is under way, and give it its name when all of it is on the disk."""
        if self.pending is None:
            return
        pending, self.pending = self.pending, None
        final = checkpoint.named(self.root, pending.step)
        aside = disk.part(final)
        sums, wrong = {}, ""
        try:
            sums = pending.sums.result()
        except Exception as error:  # torch wraps what went wrong in a thread of another process
            wrong = disk.reason(error) if isinstance(error, OSError) else str(error).strip().splitlines()[-1]
        told = self.processes.told((sums, wrong))
        wrong = next((each for _, each in told if each), "")
        if self.processes.first:
            try:
                if not wrong:
                    files = {name: each for part, _ in told for name, each in part.items()}
                    checkpoint.describe(aside, pending.step, pending.state, files)
                    disk.settle(aside, final)
                else:
                    disk.clear(aside)
            except OSError as error:
                wrong = disk.reason(error)
                disk.clear(aside)
        self._agree(wrong, pending.step)
        self._acknowledge(pending.step, pending.state)

    def close(self) -> None:
        """Let the thread go that writes; what is under way and was not finished is left aside."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)

    def _begin(self, step: int, weights: Tensors, moments: Tensors, state: dict[str, Any]) -> None:
        final = checkpoint.named(self.root, step)
        aside, wrong, there = disk.part(final), "", False
        if self.processes.first:
            try:
                there = not checkpoint.free(final)
                disk.make(self.root)
                disk.clear(aside)
                disk.make(aside)
            except OSError as error:
                wrong = disk.reason(error)
        there = self.processes.told(there)[0]
        self._agree(wrong, step)
        if there:
            return
        written = shards.begin(aside, weights, moments, self.processes.aside())
        self._thread = self._thread or ThreadPoolExecutor(1)
        self.pending = Pending(step, state, self._thread.submit(_summed, written, aside, self.processes.rank))

    def _agree(self, wrong: str, step: int) -> None:
        """Raise Unsaved on all processes where one says what is wrong."""
        said = next((each for each in self.processes.told(wrong) if each), "")
        if said:
            raise Unsaved(f"the checkpoint of step {step:,} cannot be written into `{self.root}`: {said}")

    def _acknowledge(self, step: int, state: Mapping[str, Any]) -> None:
        if self.processes.first:
            checkpoint.prune(self.root, {step, self.last, int(state["best_step"])})
        if self.last != step:
            self.last = step
            self.saved(step)


def _summed(written: Future[object], folder: Path, rank: int) -> dict[str, str]:
    """Wait for the files of this process, have the disk hold them, and return their SHA-256 sums by name."""
    written.result()
    files = shards.of(folder, rank)
    for path in files:
        disk.system.sync(path)
    return {path.name: checkpoint.digest(path) for path in files}
