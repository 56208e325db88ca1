"""How several processes begin a run together: the first one makes it, all open it, and one speaks for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.training import checkpoint, log, outcome, sums
from tfdsl.training.outcome import Outcome
from tfdsl.training.prepare import DATA, SPEC, Job, drawn, reopen
from tfdsl.training.processes import Processes
from tfdsl.training.subject import Subject
from tfdsl.training.task import HELD_OUT

Opened = tuple[Job | None, list[Diagnostic]]
Last = tuple[bool, checkpoint.Checkpoint | None, list[Diagnostic]]


def device(chosen: settings.Train, subject: Subject) -> list[Diagnostic]:
    """Say where a GPU is asked for and there is none."""
    if chosen.device != "cuda" or torch.cuda.is_available():
        return []
    message = "`train.device` is `cuda`, and torch finds no GPU on this machine"
    help_ = "leave it out to take the CPU, or install a torch that is built for the GPU"
    return [Diagnostic("R762", message, subject.where("train.device"), help=help_)]


def alone(chosen: settings.Train, subject: Subject, processes: Processes) -> list[Diagnostic]:
    """Say where weights of bfloat16 are asked of several processes, which would sum their gradients in it."""
    if chosen.precision != "bfloat16_weights" or processes.count == 1:
        return []
    message = "`bfloat16_weights` is of one process: several would sum their gradients in bfloat16"
    help_ = "choose `precision: bfloat16`; `parallel: fsdp` then keeps float32 weights in parts"
    return [Diagnostic("R874", message, subject.where("train.precision"), help=help_)]


def rows(chosen: settings.Train, subject: Subject, processes: Processes) -> list[Diagnostic]:
    """Say where a pass has fewer examples than there are processes."""
    if chosen.batch >= processes.count:
        return []
    what = "one example" if chosen.batch == 1 else f"{chosen.batch:,} examples"
    message = f"a pass of {what} cannot be shared by {processes.count:,} processes"
    help_ = f"set `train.batch` to {processes.count} or more (`train.accumulate` to less), or start fewer processes"
    return [Diagnostic("R763", message, subject.where("train.batch"), help=help_)]


def held_out(job: Job, processes: Processes) -> list[Diagnostic]:
    """Say where fewer examples are held out than there are processes."""
    count = job.task.examples(job.data.held_out, HELD_OUT)
    if count >= processes.count:
        return []
    message = f"{count:,} held-out examples cannot be shared by {processes.count:,} processes"
    help_ = "hold out more (`train.data.held_out`), or start fewer processes"
    return [Diagnostic("R763", message, job.subject.where("train.data"), help=help_)]


def made(make: Callable[[], Opened], subject: Subject, folder: Path, processes: Processes) -> Opened:
    """Return the job that the first process makes in `folder`, opened by all of them; or what is wrong."""
    job: Job | None = None
    found: list[Diagnostic] = []
    try:
        if processes.first:
            job, found = make()
    finally:  # also where the disk is full: the others do not wait
        there = processes.told(job is not None)[0]
    if not there:
        return None, found
    if not processes.first:
        job, found = reopen(subject, folder)
    return agreed(job, found, processes)


def agreed(job: Job | None, found: list[Diagnostic], processes: Processes) -> Opened:
    """Return the job if all processes have it; what is wrong with any is returned by the first alone."""
    found = [*found, *(held_out(job, processes) if job is not None else [])]
    every = processes.told((job is not None and not found, found))
    wrong = [(rank, said) for rank, (sound, said) in enumerate(every) if not sound]
    if not wrong:
        return job, found
    rank, said = wrong[0]
    if rank:
        help_ = "all processes must see the run folder under the same name"
        said = [replace(each, message=f"process {rank}: {each.message}", help=each.help or help_) for each in said]
    return None, said if processes.first else []


def last(folder: Path, processes: Processes) -> Last:
    """Return whether a run can be taken up, its last whole checkpoint, and what is said, as the first process finds it.

    A run that was stopped before it saved anything has no checkpoint, and begins.
    """
    return processes.told(_last(folder) if processes.first else (False, None, []))[0]


def ended(folder: Path, point: checkpoint.Checkpoint | None, processes: Processes) -> Outcome | None:
    """Return the outcome of a run that had ended at this checkpoint, as the first process reads its log."""
    path, found = folder / "log.jsonl", None
    if processes.first and point is not None and path.is_file():
        found = outcome.ended(log.read(path), point.step)
    return processes.told(found)[0]


def _last(folder: Path) -> Last:
    whole, damaged = checkpoint.found(folder / "checkpoints")
    said = [Diagnostic("W571", fault, label="left aside") for fault in damaged]
    if whole:
        wrong = sums.taken_up(folder, whole[-1].state)
        return not wrong, whole[-1], [*said, *wrong]
    anew = f"tfdsl train {folder / SPEC} --data {folder / DATA} -o OTHER"
    steps = [entry["step"] for entry in log.read(folder / "log.jsonl")] if (folder / "log.jsonl").exists() else []
    if damaged or steps:
        message = f"`{folder}` holds no whole checkpoint to take up"
        message += "" if damaged else f", and its log goes to step {max(steps):,}"
        help_ = f"nothing was changed; put one back, or begin another run with its spec and its data: {anew}"
        return False, None, [*said, Diagnostic("R706", message, help=help_)]
    if not drawn(folder):
        message = f"`{folder}` was stopped before it saved the weights that it started from"
        return False, None, [Diagnostic("R706", message, help=f"begin it anew: {anew} --from RUN")]
    message = f"`{folder}` was stopped before it saved anything: it begins at its first step"
    return True, None, [Diagnostic("W634", message, label="begun")]
