"""How fast a run goes: tokens and FLOPs, and the time that was spent on them or waiting for data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tfdsl.costing import Cost
from tfdsl.roles import Signature
from tfdsl.training.task import Batch

Costs = Callable[[Mapping[str, int]], Cost]


@dataclass(frozen=True, slots=True)
class Use:
    """How the machine is used: tokens and FLOPs a second, the share of its peak (None: not known), of time waiting."""

    tokens: float
    flops: float
    share: float | None
    waiting: float

    def told(self) -> dict[str, float]:
        """Return what a log says of it."""
        share = {} if self.share is None else {"share_of_peak": round(self.share, 4)}
        return {"tokens_per_second": round(self.tokens), **share, "waiting": round(self.waiting, 4)}


class Meter:
    """What a run has read and computed since its first step, over all of its processes.

    `costs` says what the model costs at lengths of its axes, `peak` is the FLOPs a second that each of `processes` can
    do. They take shares as even as can be, so that one is counted, and stands for all.
    """

    def __init__(self, signature: Signature, costs: Costs | None, peak: float | None, processes: int = 1) -> None:
        self.tokens = self.flops = 0
        self._began = (0, 0)
        self._peak, self._signature, self._processes = peak and peak * processes, signature, processes
        self._at = lru_cache(maxsize=1024)(lambda axes: 0 if costs is None else costs(dict(axes)).training)
        self._waited = self._seconds = 0.0

    def state(self) -> dict[str, int]:
        """Return what a checkpoint keeps of it."""
        return {"tokens": self.tokens, "flops": self.flops}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.tokens, self.flops = state.get("tokens", 0), state.get("flops", 0)
        self._began = (self.tokens, self.flops)

    def stepped(self, passes: Iterable[Batch], seconds: float, waited: float = 0.0) -> Use:
        """Count a step; all steps of this process have taken `seconds` so far, `waited` of them without a batch."""
        for batch in passes:
            self.tokens += batch.tokens * self._processes
            self.flops += self._flops(batch) * self._processes
        self._seconds, self._waited = max(seconds, 1e-9), waited
        return self.use

    @property
    def use(self) -> Use:
        """Return how the machine was used over all steps of this process."""
        seconds = self._seconds or math.inf
        rate = (self.flops - self._began[1]) / seconds
        share = rate / self._peak if self._peak and rate else None
        return Use((self.tokens - self._began[0]) / seconds, rate, share, min(1.0, self._waited / seconds))

    def _flops(self, batch: Batch) -> int:
        """Return the FLOPs of a forward and a backward pass; a task may run the model on more than the inputs."""
        flops = self._at(tuple(sorted(lengths(self._signature, batch).items())))
        words = next((batch.inputs[each.name] for each in self._signature.texts() if each.name in batch.inputs), None)
        if words is None or batch.tokens <= words.numel():
            return flops
        return flops * batch.tokens // words.numel()


def lengths(signature: Signature, batch: Batch) -> dict[str, int]:
    """Return the lengths that the axes of a model have in a batch."""
    found: dict[str, int] = {}
    for name, tensor in batch.inputs.items():
        given = signature.inputs.get(name)
        if given is not None and len(given.shape) == tensor.dim():
            for extent, size in zip(given.shape, tensor.shape, strict=True):
                if isinstance(extent, str) and extent.isidentifier():
                    found[extent] = max(size, found.get(extent, 0))
    return found
