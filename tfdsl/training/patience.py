"""When to stop early: no better measurement on held-out examples for too long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Patience:
    """The best measurement so far and its step; and how many in a row since one that was better by `min_delta`."""

    most: int | None
    min_delta: float = 0.0
    best: float = math.inf
    step: int = 0
    mark: float = math.inf
    since: int = 0

    def measured(self, loss: float, step: int) -> bool:
        """Hear of a measurement; return whether it is the best one."""
        if loss < self.mark - self.min_delta:
            self.mark, self.since = loss, 0
        else:
            self.since += 1
        if loss >= self.best:
            return False
        self.best, self.step = loss, step
        return True

    @property
    def over(self) -> bool:
        """Return whether it has been too long."""
        return self.most is not None and self.since >= self.most

    def state(self) -> dict[str, float | int | None]:
        """Return what a checkpoint keeps."""
        best, mark = (None if math.isinf(each) else each for each in (self.best, self.mark))
        return {"best": best, "best_step": self.step, "mark": mark, "since": self.since}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self.best = math.inf if kept["best"] is None else kept["best"]
        self.step, self.since = kept["best_step"], kept.get("since", 0)
        self.mark = self.best if kept.get("mark") is None else kept["mark"]
