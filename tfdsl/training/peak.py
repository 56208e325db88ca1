"""How fast the machine can multiply matrices: what a training's speed is compared with."""

from __future__ import annotations

import resource
import sys
import time
from functools import lru_cache

import torch

SIDES = {"cpu": 1024, "cuda": 8192}  # of the matrices: large enough to be fast, small enough for an old machine
BUDGET = 0.15  # seconds of multiplying


def peak(precision: str, device: str = "cpu") -> float:
    """Return the most FLOPs a second that a product of large matrices reaches, measured once a process.

    `precision` is `float32` or `bfloat16`; the process's own number of threads is used.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    return _measured(dtype, device, torch.get_num_threads())


@lru_cache(maxsize=16)
def _measured(dtype: torch.dtype, device: str, threads: int) -> float:
    side = SIDES.get(device, 2048)
    a, b = (torch.full((side, side), 0.5, dtype=dtype, device=device) for _ in range(2))
    out = torch.empty_like(a)
    best, began = float("inf"), time.perf_counter()
    torch.mm(a, b, out=out)
    _wait(device)
    while time.perf_counter() - began < BUDGET or best == float("inf"):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def memory() -> int:
    """Return the most bytes of memory that this process has held, on the GPU where one was used."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # macOS counts bytes, Linux KiB
