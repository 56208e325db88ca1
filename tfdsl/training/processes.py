"""The processes that train one model together: one, or as many as `torchrun` starts."""

from __future__ import annotations

from torch import Tensor


class Processes:
    """One process alone. `rank` counts from 0 to `count` - 1."""

    rank: int = 0
    count: int = 1

    def total(self, numbers: Tensor) -> Tensor:
        """Return the sum of `numbers` over all processes."""
        return numbers

    def gathered(self, rows: Tensor) -> Tensor:
        """Return the `rows` [N, ...] of all processes, in the order of their ranks; each may bring another N."""
        return rows
