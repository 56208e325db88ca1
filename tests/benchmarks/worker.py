"""One contender in a process of its own: told how much to do, it answers how much it did in how many CPU-seconds."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from tests.benchmarks.sizes import SIZES


def contender(name: str, work: str, size: str) -> Callable[[int], int]:
    """Return what `name` does: `train GPT float32` (Llama, bfloat16) or `sample` at a size, or `nanogpt` on a text."""
    from tests.benchmarks import nanogpt, ours, peers

    if work == "nanogpt":
        return ours.nanogpt(Path(size)) if name == "tfdsl" else nanogpt.Trainer(Path(size)).run
    if work == "sample":
        return ours.sampler(SIZES[size]) if name == "tfdsl" else peers.sampler(name, SIZES[size])
    llama, low = "Llama" in work, work.endswith("bfloat16")
    if name == "peak":
        return peers.peak(low)
    if name == "tfdsl":
        return ours.trainer(SIZES[size], llama, low)
    return peers.trainer(name, SIZES[size], llama, low)


def main() -> None:
    """Answer a line of JSON for each number on standard input."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable()
    run = contender(*sys.argv[1:4])
    for line in sys.stdin:
        began = time.process_time()
        done = run(int(line))
        print(json.dumps([done, time.process_time() - began]), flush=True)


if __name__ == "__main__":
    main()
