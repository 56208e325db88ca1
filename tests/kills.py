"""Kill a training run at random instants, again and again: `make kills`, or `python -m tests.kills 1000`.

Each process is a fork of this one, so that a kill falls into training and saving, not into imports. After each kill all
that was acknowledged must be there whole; a run that ends must have the losses of one that was not killed, to the bit.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tests.training.runs import chosen, subject
from tfdsl import settings
from tfdsl.training import Quiet, checkpoint, resume, train
from tfdsl.training.log import read

STEPS = 24
LONGEST = 0.8  # seconds until a kill, at most


@dataclass
class Tally:
    """What came of it: kills, runs that ended, checkpoints that were acknowledged."""

    kills: int = 0
    ended: int = 0
    acknowledged: int = 0


class Told(Quiet):
    """Tell the parent of each checkpoint, through a pipe that outlives a kill."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def saved(self, step: int) -> None:
        """Write the step."""
        os.write(self.pipe, f"{step}\n".encode())


def fork(work: Callable[[], None]) -> int:
    """Start a process that does `work` and leaves; return its number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def go(folder: Path, how: settings.Train, pipe: int) -> None:
    """Begin the run in `folder`, or take it up again where a checkpoint is there."""
    if any((folder / "checkpoints").glob("step-*")):
        outcome, problems = resume(subject(), folder, report=Told(pipe))
    else:
        outcome, problems = train(subject(), how, folder, report=Told(pipe))
    assert outcome is not None and not problems, problems


def cut(folder: Path, how: settings.Train, seconds: float, tally: Tally) -> bool:
    """Let a run go on for `seconds`, then kill it; return whether it came to its end before."""
    reading, writing = os.pipe()
    child = fork(lambda: go(folder, how, writing))
    os.close(writing)
    until = time.monotonic() + seconds
    done, status = 0, 0
    while not done and time.monotonic() < until:
        time.sleep(0.002)
        done, status = os.waitpid(child, os.WNOHANG)
    if not done:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        tally.kills += 1
    with os.fdopen(reading) as pipe:
        told = [int(line) for line in pipe.read().split()]
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, "a process failed by itself"
    tally.acknowledged += len(told)
    whole, damaged = checkpoint.found(folder / "checkpoints")
    assert damaged == [], damaged
    assert not told or (whole and whole[-1].step >= told[-1]), f"step {told[-1]} was acknowledged, and is not there"
    return not os.WIFSIGNALED(status)


def losses(folder: Path) -> list[tuple[int, float]]:
    """Return the loss of each step and of each measurement, in order."""
    entries = read(folder / "log.jsonl")
    return [(entry["step"], entry.get("loss", entry.get("held_out", -1.0))) for entry in entries]


def other(one: list[tuple[int, float]], two: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return what stands in one list and not as often in the other."""
    return [each for each in {*one, *two} if one.count(each) != two.count(each)]


def ends(folder: Path) -> dict[str, list[object]]:
    """Return the tensors that a run ended with."""
    last = checkpoint.found(folder / "checkpoints")[0][-1]
    return {name: tensor.flatten().tolist() for name, tensor in (last.weights() | last.moments()).items()}


def kill(count: int, folder: Path, seed: int = 0) -> Tally:
    """Kill runs below `folder` `count` times, and prove that nothing came of it; raise AssertionError where it did."""
    torch.set_num_threads(1)
    chance, tally = random.Random(seed), Tally()
    how = chosen(folder, steps=STEPS, checkpoint={"every": 2}, evaluate={"every": 7, "batches": 1})
    straight = folder / "straight"
    began = time.monotonic()
    train(subject(), how, straight)  # here, so that what is imported on the way is there for the forks
    longest = min(LONGEST, time.monotonic() - began)
    while tally.kills < count:
        run = folder / f"run-{tally.ended}"
        while not cut(run, how, chance.random() * longest, tally):
            if tally.kills >= count:
                _, status = os.waitpid(fork(lambda: go(run, how, os.open(os.devnull, os.O_WRONLY))), 0)  # noqa: B023
                assert status == 0
                break
        assert losses(run) == losses(straight), f"`{run.name}` has other losses: {other(losses(run), losses(straight))}"
        assert ends(run) == ends(straight), f"`{run.name}` has other weights"
        tally.ended += 1
    return tally


def main() -> None:
    """Kill as often as the command line says."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        tally = kill(count, Path(name), seed=int(began))
    seconds = time.monotonic() - began
    print(f"{tally.kills:,} kills in {seconds:.0f} s: {tally.acknowledged:,} checkpoints acknowledged, none lost;")
    print(f"{tally.ended:,} runs ended, each with the losses and weights of the run that was not killed, to the bit")


if __name__ == "__main__":
    main()
