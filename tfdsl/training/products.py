"""Which library multiplies float32 matrices on a CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from functools import lru_cache

import torch

EXACT = 1e-5  # relative: float32 errs by 1e-6 at this size, a product that reads bfloat16 by 1e-3
SIDE = 256


@contextlib.contextmanager
def fast() -> Generator[None]:
    """Have oneDNN multiply float32 matrices, where it is as exact as what torch uses otherwise.

    torch asks oneDNN at the precision `medium` alone, at which it may read bfloat16 where the processor multiplies
    that in tiles (AMX); whether it does is tried. Measured on one core with AVX-512, torch 2.13: 215 GFLOP/s in place
    of 100, both with errors of 1e-6.
    """
    before = torch.get_float32_matmul_precision()
    if before == "highest" and exact():
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@lru_cache(maxsize=1)
def exact() -> bool:
    """Return whether products at the precision `medium` are float32's own on this machine."""
    if not torch.backends.mkldnn.is_available() or torch.cuda.is_available():  # there it would change the GPU's too
        return False
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(SIDE, SIDE, generator=draw) for _ in range(2))
    right = a.double() @ b.double()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        error = ((a @ b) - right).abs().max() / right.abs().max()
    finally:
        torch.set_float32_matmul_precision(before)
    return error.item() < EXACT
