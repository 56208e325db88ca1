"""The runs of a sweep at work: each a process of its own, so many at a time, and none that ends another."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import tfdsl
from tfdsl import disk
from tfdsl.sweeping.plan import Planned
from tfdsl.watching import curves

OUTPUT = "output.txt"
PAUSE = 0.2  # seconds between two looks
TAIL = 4096  # bytes of a log that are read to know how far it is


class Watch(Protocol):
    """What a sweep tells as it goes."""

    def moved(self, done: float, running: Sequence[str]) -> None:
        """Hear how many runs are done (parts of runs too), and of those that run: name, step, loss."""

    def ended(self, run: Planned, seconds: float) -> None:
        """Hear of a run that came to an end, whichever."""


class Silent:
    """Say nothing."""

    def moved(self, done: float, running: Sequence[str]) -> None:
        """Say nothing of what runs."""

    def ended(self, run: Planned, seconds: float) -> None:
        """Say nothing of an end."""


@dataclass(frozen=True, slots=True, eq=False)
class Child:
    """A run that runs."""

    run: Planned
    process: subprocess.Popen[bytes]
    began: float

    def share(self) -> float:
        """Return how much of the run lies behind, from 0 to 1."""
        return min(1.0, last(self.run.folder).get("step", 0) / self.run.checked.train.steps)

    def told(self) -> str:
        """Return the run's name, step and loss."""
        entry = last(self.run.folder)
        loss = entry.get("loss", entry.get("held_out"))
        return f"{self.run.combination.name} step {entry.get('step', 0):,}" + (f" loss {loss:.3f}" if loss else "")


def run_all(runs: Sequence[Planned], jobs: int, start: str | None, watch: Watch) -> bool:
    """Train every run that has not come to an end, `jobs` at a time; return whether all had their turn.

    Ctrl-C or SIGTERM lets those that run save and end, and starts no other. `start` is a run whose weights they begin
    with.
    """
    waiting = [run for run in runs if run.state != "ended"]
    done = len(runs) - len(waiting)
    running: list[Child] = []
    with _stopping(lambda: _interrupt(running)) as stopped:
        try:
            while running or (waiting and not stopped()):
                while waiting and len(running) < jobs and not stopped():
                    running.append(_begin(waiting.pop(0), jobs, start))
                for child in [each for each in running if each.process.poll() is not None]:
                    running.remove(child)
                    done += 1
                    _note(child)
                    watch.ended(child.run, time.monotonic() - child.began)
                watch.moved(done + sum(child.share() for child in running), [child.told() for child in running])
                if running:
                    time.sleep(PAUSE)
        finally:
            _interrupt(running)
            for child in running:
                child.process.wait()
        return not waiting and not stopped()


def _begin(run: Planned, jobs: int, start: str | None) -> Child:
    """Start a run's process, or take the run up at its last checkpoint."""
    begun = run.state == "begun"
    disk.make(run.folder)
    words = ["train", str(run.folder), "--resume"]
    if not begun:
        spec = run.folder / "spec.yaml"
        disk.write(spec, run.text)
        words = ["train", str(spec), "-o", str(run.folder), *(("--from", start) if start else ())]
    with disk.opened(run.folder / OUTPUT, more=begun) as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tfdsl", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(jobs),
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on once
        )
    return Child(run, process, time.monotonic())


def _note(child: Child) -> None:
    """Write behind a run's output which signal ended it, if one did."""
    code = child.process.returncode
    if code < 0:
        name = signal.Signals(-code).name
        why = ", which the system sends where memory runs out" if name == "SIGKILL" else ""
        disk.append(child.run.folder / OUTPUT, f"\ntfdsl: ended by {name}{why}\n")


def _environment(jobs: int) -> dict[str, str]:
    """Return this process's environment, with this tfdsl in it, and the cores shared out among the jobs."""
    here = str(Path(tfdsl.__file__).parent.parent)
    paths = os.pathsep.join(part for part in (here, os.environ.get("PYTHONPATH", "")) if part)
    threads = {} if jobs == 1 else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}
    return {**threads, **os.environ, "PYTHONPATH": paths}


def _interrupt(running: Sequence[Child]) -> None:
    for child in running:
        if child.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(signal.SIGINT)


@contextlib.contextmanager
def _stopping(act: Callable[[], None]) -> Generator[Callable[[], bool]]:
    """Have SIGINT and SIGTERM do `act`, once; give what tells whether one came."""
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        if not came:
            act()
        came.append(number)

    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where alone signals are heard
        before = {}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def last(folder: Path) -> curves.Entry:
    """Return the last whole entry of the log in `folder`, or an empty one."""
    try:
        with (folder / curves.LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            return entry
    return {}


def reason(folder: Path) -> str:
    """Return what a run that failed said last: its first error, or its last line."""
    try:
        lines = (folder / OUTPUT).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    told = [line for line in lines if line.startswith(("error[", "tfdsl: "))] or [
        line for line in lines if line.strip()
    ]
    return (told[0] if told and told[0].startswith(("error[", "tfdsl: ")) else told[-1] if told else "")[:200]
