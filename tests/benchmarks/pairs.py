"""Measure contenders side by side: one process each, in turn, one thread, by CPU time; medians of rounds."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Speed:
    """A contender's median speed (a CPU-second), and the median over rounds of its ratio to the first contender."""

    name: str
    speed: float
    ratio: float


class Contender:
    """A process that works when it is told to."""

    def __init__(self, name: str, work: str, size: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker", name, work, size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )

    def speed(self, amount: int) -> float:
        """Have `amount` done, and return how much was done a CPU-second."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{amount}\n")
        self._process.stdin.flush()
        done, seconds = json.loads(self._process.stdout.readline())
        return done / seconds

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


def measure(names: list[str], work: str, size: str, amount: int, rounds: int) -> list[Speed]:
    """Return the speed of each contender at `work`, `amount` at a time, in `rounds` rounds after one to warm up."""
    contenders = [Contender(name, work, size) for name in names]
    for each in contenders:
        each.speed(max(2, amount // 4))
    speeds = [[each.speed(amount) for each in contenders] for _ in range(rounds)]
    for each in contenders:
        each.end()
    columns = list(zip(*speeds, strict=True))
    return [
        Speed(
            name,
            statistics.median(column),
            statistics.median(own / one for own, one in zip(column, columns[0], strict=True)),
        )
        for name, column in zip(names, columns, strict=True)
    ]
