"""The process that trains: its memory, its threads and torch's random state, set for a run and put back behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Literal

import torch

from tfdsl.training import attention, memory
from tfdsl.training.products import fast


@contextlib.contextmanager
def process(threads: int | Literal["auto"] | None) -> Generator[None]:
    """Set the process up for training, and leave torch's random state and thread count as they were."""
    memory.keep()
    before = torch.get_num_threads()
    state = torch.get_rng_state()
    if isinstance(threads, int):
        torch.set_num_threads(threads)
    try:
        with attention.written_out(), fast():
            yield
    finally:
        torch.set_num_threads(before)
        torch.set_rng_state(state)
