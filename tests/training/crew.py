"""Several processes for a test: forks of this one, which has imported all that they need."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")
SECONDS = 600


def crew(count: int, work: Callable[[int], T], kill_after: float = 0.0) -> list[T]:
    """Return what `work(rank)` returns in each of `count` processes that have joined (gloo).

    Raises AssertionError with the trace of one that failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        children = [_child(rank, count, work, folder) for rank in range(count)]
        for child in children:
            os.waitpid(child, 0)
        found = [pickle.loads((folder / str(rank)).read_bytes()) for rank in range(count)]
    for sound, each in found:
        assert sound, each
    return [each for _, each in found]


def _child(rank: int, count: int, work: Callable[[int], T], folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    signal.alarm(SECONDS)  # a process that waits for ever fails its test
    try:
        torch.set_num_threads(1)
        store = dist.FileStore(str(folder / "store"), count)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=count)
        answer: tuple[bool, object] = (True, work(rank))
    except BaseException:
        answer = (False, traceback.format_exc())
    (folder / str(rank)).write_bytes(pickle.dumps(answer))
    sys.stderr.flush()
    os._exit(0)
