"""long: what attention costs as the sequence grows, each method in a process of its own; docs/long-sequences.md.

`python -m tests.benchmarks.long` measures every method at every length, forward and forward with backward, one thread:
CPU time of the process, the best of some runs, and the growth of the most memory that it held.
"""

from __future__ import annotations

import math
import os
import pickle
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import tfdsl
from tests.benchmarks import figure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "long-sequences.md"
LENGTHS = (512, 1024, 2048, 4096, 8192, 16384)
FITTED = 2048  # the order of growth is that from here on
METHODS = {
    "full": "mask: full",
    "causal": "mask: causal",
    "sliding": "mask: {type: sliding, window: 256}",
    "chunked": "mask: {type: chunked, size: 256}",
    "dilated": "mask: {type: dilated, window: 256, step: 2}",
    "block_sparse": "mask: {type: block_sparse, block: 64}",
    "linear": "mask: causal, method: linear",
    "performer": "mask: causal, method: {type: performer, features: 256}",
    "low_rank": "method: {type: low_rank, rank: 256, length: 16384}",
}
SPEC = """
tfdsl: 1
name: long
inputs: {{x: {{shape: [B, T, 256], dtype: float}}}}
model: [attention: {{from: x, heads: 4, {fields}}}]
"""
WORKS = ("forward", "with backward")


@dataclass(frozen=True)
class Cost:
    """Milliseconds of CPU time, and megabytes that were held besides what was there before."""

    time: float
    memory: float


def main() -> None:
    """Measure, and write the page's tables and its figure."""
    torch.set_num_threads(1)
    found: dict[tuple[str, str, int], Cost] = {}
    for length in LENGTHS:
        for name in METHODS:
            for work in WORKS:
                cost = found[work, name, length] = apart(
                    lambda name=name, work=work, length=length: run(name, work, length)
                )
                print(f"{work:14} {name:12} {length:6} {cost.time:9.1f} ms {cost.memory:8.1f} MB", flush=True)
    page = PAGE.read_text(encoding="utf-8")
    for part in ("time", "memory"):
        text = "\n\n".join(f"**{work}**\n\n{table(found, work, part)}" for work in WORKS)
        page = re.sub(
            rf"(<!-- {part} -->\n).*?(<!-- end -->)",
            lambda at, text=text: f"{at[1]}{text}\n{at[2]}",
            page,
            flags=re.DOTALL,
        )
    PAGE.write_text(page, encoding="utf-8")
    panels = {
        "milliseconds, forward and backward": {
            name: [found[WORKS[1], name, n].time for n in LENGTHS] for name in METHODS
        },
        "megabytes, forward and backward": {
            name: [found[WORKS[1], name, n].memory for n in LENGTHS] for name in METHODS
        },
    }
    (ROOT / "docs" / "long-sequences.svg").write_text(figure.draw(LENGTHS, panels), encoding="utf-8")


def run(name: str, work: str, length: int) -> Cost:
    """Return what one layer of attention costs at a length."""
    model = tfdsl.build(tfdsl.check(SPEC.format(fields=METHODS[name])))
    x = torch.randn(1, length, 256)

    def once() -> float:
        start = time.process_time()
        if work == WORKS[0]:
            with torch.no_grad():
                model(x)
        else:
            model(x).sum().backward()
        return time.process_time() - start

    once()  # what is made at the first run only
    before = held("VmRSS", fresh=True)
    spent = [once()]
    grown = held("VmHWM") - before
    while len(spent) < 5 and sum(spent) < 1.0:
        spent.append(once())
    return Cost(1000 * min(spent), grown / 1e6)


def held(what: str, fresh: bool = False) -> int:
    """Return the bytes that the process holds (VmRSS), or the most that it held (VmHWM) since it was last `fresh`."""
    if fresh:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found is not None, "Linux says how much memory a process holds"
    return int(found[1]) * 1024


def apart(action: Callable[[], Cost]) -> Cost:
    """Run something in a child of this process, which has its libraries and none of what others left behind."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "wb") as out:
            pickle.dump(action(), out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as found:
        answer = found.read()
    _, status = os.waitpid(child, 0)
    assert status == 0 and answer, "the measurement failed"
    return pickle.loads(answer)


def table(found: dict[tuple[str, str, int], Cost], work: str, part: str) -> str:
    """Return a table: a row a method, a column a length, and how the cost grows."""
    lines = [f"| | {' | '.join(f'{length:,}' for length in LENGTHS)} | grows as |", "|---" * (len(LENGTHS) + 2) + "|"]
    for name in METHODS:
        costs = [getattr(found[work, name, length], part) for length in LENGTHS]
        power = slope([(n, each) for n, each in zip(LENGTHS, costs, strict=True) if n >= FITTED])
        lines.append(f"| {name} | {' | '.join(f'{each:,.0f}' for each in costs)} | n^{power:.2f} |")
    return "\n".join(lines)


def slope(points: list[tuple[int, float]]) -> float:
    """Return the power of n by which a cost grows: the slope of the line through the logarithms."""
    xs, ys = [math.log(n) for n, _ in points], [math.log(max(each, 0.1)) for _, each in points]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


if __name__ == "__main__":
    main()
