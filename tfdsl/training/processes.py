"""The processes that train one model together: one, or as many as `torchrun` starts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = timedelta(minutes=30)  # how long a process waits for another


class Processes:
    """One process alone, or one of several. `rank` counts from 0 to `count` - 1; `device` is where its model lies."""

    def __init__(self, rank: int = 0, count: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.count, self.device = rank, count, device or torch.device("cpu")
        self._ways: dict[str, dist.ProcessGroup] = {}

    @property
    def first(self) -> bool:
        """Return whether this is the process that speaks and keeps the log."""
        return self.rank == 0

    @property
    def here(self) -> int:
        """Return how many of the processes are on this machine."""
        return 1 if self.count == 1 else int(os.environ.get("LOCAL_WORLD_SIZE", str(self.count)))

    def total(self, numbers: Tensor) -> Tensor:
        """Return the sum of `numbers` over all processes."""
        if self.count == 1:
            return numbers
        summed = numbers.clone()
        dist.all_reduce(summed)
        return summed

    def gathered(self, rows: Tensor) -> Tensor:
        """Return the `rows` [N, ...] of all processes, in the order of their ranks; each may bring another N.

        Gradients flow back: those of all processes to the rows of each, summed.
        """
        return rows if self.count == 1 else _Gathered.apply(rows, self)  # type: ignore[no-any-return]

    def told(self, word: Any) -> list[Any]:
        """Return what each process says here, by rank; a plain value, which is pickled on its way."""
        if self.count == 1:
            return [word]
        words: list[Any] = [None] * self.count
        dist.all_gather_object(words, word, group=self._way("words"))
        return words

    def aside(self) -> dist.ProcessGroup | None:
        """Return a way between the processes for what is written while training goes on; None for a single process.

        It is beside the ways that training and `told` take: what two threads say on one way is taken for each other's.
        All processes call this the first time together.
        """
        return self._way("aside") if self.count > 1 else None

    def _way(self, name: str) -> dist.ProcessGroup:
        if name not in self._ways:
            made = dist.new_group(backend="gloo", timeout=PATIENCE)
            assert isinstance(made, dist.ProcessGroup)
            self._ways[name] = made
        return self._ways[name]


class _Gathered(torch.autograd.Function):
    """Rows of all processes; the backward pass sums what each process says of them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, processes: Processes) -> Tensor:
        sizes = torch.zeros(processes.count, dtype=torch.int64, device=rows.device)
        sizes[processes.rank] = len(rows)
        dist.all_reduce(sizes)
        ctx.sizes, ctx.rank = sizes.tolist(), processes.rank
        padded = rows.new_zeros((max(ctx.sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in ctx.sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, ctx.sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        grad = grads[0].contiguous().clone()
        dist.all_reduce(grad)
        start = sum(ctx.sizes[: ctx.rank])
        return grad[start : start + ctx.sizes[ctx.rank]], None


def started() -> bool:
    """Return whether `torchrun` started this process, or it has joined others already."""
    return dist.is_initialized() or {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()


def rank() -> int:
    """Return the rank of this process, before or after it joins the others."""
    return dist.get_rank() if dist.is_initialized() else int(os.environ.get("RANK", "0")) if started() else 0


@contextlib.contextmanager
def joined(device: Literal["auto", "cpu", "cuda"] = "auto") -> Generator[Processes]:
    """Join the other processes that `torchrun` started, if it did, and leave them at the end.

    A process takes the GPU of its number on the machine; `auto` is the CPU where there is none.
    """
    place = _device(device)
    if not started():
        yield Processes(device=place)
        return
    own = not dist.is_initialized()
    if own:
        if place.type == "cuda":
            torch.cuda.set_device(place)
        backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), place)
    finally:
        if own:
            dist.destroy_process_group()


def _device(device: str) -> torch.device:
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
