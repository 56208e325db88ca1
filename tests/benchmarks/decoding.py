"""Writing texts beside the libraries: tokens a second, the delay of the first, memory, and the machine's own limit.

`python -m tests.benchmarks decode` measures all of it in a quarter of an hour and writes the tables of
docs/benchmarks.md; `python -m tests.benchmarks.decoding 4x128` shows those of a size, `... cell 4x128 1 32` one cell.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tests.benchmarks.pairs import ROOT
from tests.benchmarks.sizes import Size
from tests.benchmarks.writers import OURS, THEIRS, WRITTEN

CELLS = {  # rows, and tokens of each prompt
    "4x128": ((1, 32), (1, 512), (1, 2048), (8, 32), (8, 512), (64, 32)),
    "6x384": ((1, 32), (1, 512), (1, 2048), (8, 32), (64, 32)),
    "gpt2": ((1, 32), (1, 2048), (8, 32), (64, 32)),
}
COUNT, FEW = 24, 12  # tokens behind each prompt; of the largest model fewer
ROUNDS = ((1e10, 5), (6e10, 2), (1e15, 1))  # products of all prompts' tokens with all weights, and rounds below that
FIRST = ("transformers compiled",)  # in the first cell alone: its compiler is called anew for each shape


@dataclass(frozen=True, slots=True)
class Found:
    """What a contender took for a cell: seconds to the first token, tokens a second behind it, MB."""

    first: float
    speed: float
    memory: float


class Writer:
    """A contender in a process of its own."""

    def __init__(self, name: str, size: str, threads: int) -> None:
        self.name = name
        self.failed = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.writers", name, size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"},
        )

    def ask(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        """Have a cell done, and return what it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(cell) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            return {"error": "the process ended"}

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


def cell(writers: Sequence[Writer], rows: int, prompt: int, count: int, rounds: int, clock: int) -> dict[str, Found]:
    """Return what each contender that can do a cell took: medians of rounds in turn, by CPU (0) or wall (1) time."""
    asked = {"batch": rows, "prompt": prompt, "count": count}
    answers: dict[str, list[dict[str, Any]]] = {each.name: [] for each in writers}
    for turn in range(rounds):
        for each in writers:
            if each.name in FIRST and (rows, prompt) != (1, 32):
                continue
            found = each.ask({**asked, "warm": turn == 0 and rounds > 1})
            if "error" in found:
                print(f"  {each.name}: {found['error']}", flush=True)
            else:
                answers[each.name].append(found)
    return {name: _median(found, rows, count, clock) for name, found in answers.items() if found}


def _median(answers: Sequence[dict[str, Any]], rows: int, count: int, clock: int) -> Found:
    firsts = [each["first"][clock] for each in answers]
    speeds = [rows * (count - 1) / max(1e-9, each["all"][clock] - each["first"][clock]) for each in answers]
    return Found(statistics.median(firsts), statistics.median(speeds), max(each["memory"] for each in answers))


def bandwidth(size: int) -> float:
    """Return how many bytes a second one thread reads of a buffer of so many bytes, again and again."""
    torch.set_num_threads(1)  # others would wait in a loop, and that is CPU time too
    buffer = torch.ones(max(size // 4, 1024))
    buffer.sum()
    best = 0.0
    for _ in range(5):
        began = time.process_time()
        for _ in range(max(1, (1 << 27) // size)):
            buffer.sum()
        best = max(best, max(1, (1 << 27) // size) * 4 * buffer.numel() / (time.process_time() - began))
    return best


def weights(size: Size) -> int:
    """Return how many numbers of a model are multiplied with each token."""
    return 12 * size.layers * size.width**2 + size.vocab * size.width


def limit(size: Size, rows: int, prompt: int, count: int) -> float:
    """Return the tokens a second at which float32 weights and caches could be read, and nothing else were to be done.

    The speed of the memory is that of a buffer as large as both: a small model lies in the processor's own.
    """
    cache = rows * (prompt + count / 2) * 2 * size.layers * size.width
    read = int(4 * (weights(size) + cache))
    return rows * bandwidth(read) / read


def sized(size: Size, threads: int, clock: int, cells: Sequence[tuple[int, int]], names: Sequence[str]) -> str:
    """Measure a size, and return its tables."""
    writers = [Writer(name, size.name, threads) for name in names]
    speeds, others = [], []
    count = FEW if size.name == "gpt2" else COUNT
    for rows, prompt in cells:
        rounds = next(rounds for most, rounds in ROUNDS if rows * prompt * weights(size) < most)
        found = cell(writers, rows, prompt, count, rounds, clock)
        most = "" if threads > 1 else f" {limit(size, rows, prompt, count):,.0f} |"
        speeds.append(_speeds(found, rows, prompt) + most)
        others.append(_others(found, rows, prompt))
        print(speeds[-1], others[-1], sep="\n", flush=True)
    for each in writers:
        each.end()
    kind = "CPU-second, one thread" if clock == 0 else "second, two threads"
    own = " | ".join(name.removeprefix("tfdsl").strip() or "float32" for name in OURS)
    head = f"| rows × prompt | best peer | tokens a {kind} | {own} |" + ("" if threads > 1 else " limit |")
    rule = "|---" * (head.count("|") - 1) + "|"
    below = "| rows × prompt | first token, ms: best peer | float32 | bfloat16 | MB: best peer | float32 | int8 |"
    return "\n".join(
        [f"**{size.name}**", "", head, rule, *speeds, "", below, "|---" * (below.count("|") - 1) + "|", *others]
    )


def _speeds(found: Mapping[str, Found], rows: int, prompt: int) -> str:
    peers = {name: each.speed for name, each in found.items() if name in THEIRS}
    best = max(peers, key=lambda name: peers[name])
    ours = [f"{found[name].speed / peers[best]:.2f}" if name in found else "" for name in OURS]
    return f"| {rows} × {prompt:,} | {best} | {peers[best]:,.0f} | {' | '.join(ours)} |"


def _others(found: Mapping[str, Found], rows: int, prompt: int) -> str:
    first = min(each.first for name, each in found.items() if name in THEIRS)
    memory = min(each.memory for name, each in found.items() if name in THEIRS)
    cells = [f"{first * 1e3:,.1f}"]
    cells += [f"{found[name].first * 1e3:,.1f}" if name in found else "" for name in ("tfdsl", "tfdsl bfloat16")]
    cells += [f"{memory:,.0f}"]
    cells += [f"{found[name].memory:,.0f}" if name in found else "" for name in ("tfdsl", "tfdsl int8")]
    return f"| {rows} × {prompt:,} | {' | '.join(cells)} |"


def tables(names: Sequence[str] = ()) -> str:
    """Measure all sizes, or those that are named, on one thread by CPU time; and GPT-2 on two by wall time."""
    chosen = [size for name, size in WRITTEN.items() if name in (names or WRITTEN)]
    parts = [sized(size, 1, 0, CELLS[size.name], (*OURS, *THEIRS)) for size in chosen]
    if not names:
        parts += [sized(WRITTEN["gpt2"], 2, 1, ((1, 32), (8, 32)), (*OURS, "transformers", "litgpt", "x-transformers"))]
    return "\n\n".join(parts)


if __name__ == "__main__":
    if sys.argv[1:2] == ["cell"]:  # one cell of a size, to look at: cell 4x128 1 32
        size = WRITTEN[sys.argv[2]]
        print(sized(size, 1, 0, [(int(sys.argv[3]), int(sys.argv[4]))], (*OURS, *THEIRS)))
    else:
        print(tables(sys.argv[1:]))
