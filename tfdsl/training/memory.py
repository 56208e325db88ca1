"""Settings of the process that make torch on a CPU faster, and change no result."""

from __future__ import annotations

import ctypes
import sys

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # glibc's names for mallopt's parameters: M_MMAP_THRESHOLD, M_TRIM_THRESHOLD


def keep() -> bool:
    """Have glibc keep the memory that a step frees for the next one; return whether it does.

    glibc maps each large tensor afresh and gives it back at once, and the kernel clears its pages each time.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(TRIM_THRESHOLD, (1 << 31) - 1))
