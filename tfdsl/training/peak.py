"""How fast the machine can multiply matrices: what a training's speed is compared with."""

from __future__ import annotations

import resource
import sys
import time
from functools import lru_cache

import torch
from torch import Tensor

# Of the matrices: large enough to be fast; a small one has done before another process takes the core away.
SIDES = {"cpu": (512, 1024), "cuda": (8192,)}
BUDGET = 0.08  # seconds of multiplying, for each


def peak(precision: str, device: str = "cpu") -> float:
    """Return the most FLOPs a second that a product of large matrices reaches, measured once a process.

    `precision` is that of the settings; the process's own number of threads is used.
    """
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    return _measured(dtype, device, torch.get_num_threads())


@lru_cache(maxsize=16)
def _measured(dtype: torch.dtype, device: str, threads: int) -> float:
    best, began = 0.0, time.perf_counter()
    for side in SIDES.get(device, (2048,)):
        a, b = (torch.full((side, side), 0.5, dtype=dtype, device=device) for _ in range(2))
        out = torch.empty_like(a)
        _product(a, b, out)
        while True:
            best = max(best, 2 * side**3 / _product(a, b, out))
            if time.perf_counter() - began > BUDGET:
                break
        began = time.perf_counter()
    return best


def _product(a: Tensor, b: Tensor, out: Tensor) -> float:
    """Multiply, and return the seconds that it took: of this thread's own, where it is alone, whoever else computes."""
    alone = a.device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.thread_time if alone else time.perf_counter
    start = clock()
    torch.mm(a, b, out=out)
    _wait(a.device.type)
    return max(clock() - start, 1e-9)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def memory() -> int:
    """Return the most bytes of memory that this process has held, on the GPU where one was used."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # macOS counts bytes, Linux KiB
