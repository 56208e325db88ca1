"""The memory of the machine: what a process can still get, and all that there is, within the limits set on it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Generator
from pathlib import Path

import torch

GROUPS = Path("/sys/fs/cgroup")
NAMES = (  # of the second and of the first version: the limit, what is held, what of that can be had, swap's limit
    ("", "memory.max", "memory.current", "inactive_file", "memory.swap.max"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "memory.no"),
)
NONE = 1 << 60  # bytes from which on a limit is none


def free(device: str = "cpu") -> int | None:
    """Return the bytes of memory that a process can still get; None where the system does not say."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    soft, held = _limit()
    limits = [None if soft is None else max(0, soft - held), _lines().get("MemAvailable")]
    limits += [max(0, most - now) for most, now, _ in _groups()]
    return min((each for each in limits if each is not None), default=None)


def whole(device: str = "cpu") -> int | None:
    """Return the bytes of memory that there are at all, swap among them; None where the system does not say."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[1]
    said = _lines()
    limits = [_limit()[0], said["MemTotal"] + said.get("SwapTotal", 0) if "MemTotal" in said else None]
    limits += [most + swap for most, _, swap in _groups()]
    return min((each for each in limits if each is not None), default=None)


def _lines() -> dict[str, int]:
    """Return what Linux says of its memory."""
    return {name: 1024 * count for name, count in _counts(Path("/proc/meminfo")).items()}


def _groups() -> Generator[tuple[int, int, int]]:
    """Yield the limits of the control groups that this process is in, what each holds, and the swap beside it."""
    swap = _lines().get("SwapTotal", 0)
    for kind, most, now, cached, more in NAMES:
        for folder in _above(GROUPS / kind, "memory" if kind else ""):
            limit, held = _number(folder / most), _number(folder / now)
            if limit is not None and held is not None and limit < NONE:
                given_back = _counts(folder / "memory.stat").get(cached, 0)  # files that were read, and are kept
                yield limit, max(0, held - given_back), min(swap, _number(folder / more) or swap)


def _counts(path: Path) -> dict[str, int]:
    """Return what a file of names and numbers says."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def _above(root: Path, kind: str) -> Generator[Path]:
    """Yield the folder of this process's control group, and those of the groups that it is in."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    own = next((line.split(":", 2)[2] for line in lines if line.split(":", 2)[1] == kind), "/")
    folder = root / own.strip("/")
    while folder != root and folder.is_relative_to(root):
        yield folder
        folder = folder.parent
    yield root


def _number(path: Path) -> int | None:
    """Return the number in a file; None where there is no file, or a word such as `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _limit() -> tuple[int | None, int]:
    """Return what `ulimit -v` allows, or None, and what this process has of it."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or not sys.platform.startswith("linux"):
        return None, 0
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return soft, pages * resource.getpagesize()
