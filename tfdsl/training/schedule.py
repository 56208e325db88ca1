"""The learning rate, as a function of how far the training has come."""

from __future__ import annotations

import math

from tfdsl import settings
from tfdsl.settings import schedule as kinds


def rate(schedule: settings.Schedule, peak: float, step: int, progress: float) -> float:
    """Return the learning rate of a step (from 0), when `progress` (0 to 1) of what follows the warm-up lies behind it.

    Over a warm-up of W steps the rate is `peak` · (step + 1) / (W + 1), and (step + 1) / W for `inverse_sqrt`, as
    Vaswani et al. (2017, equation 3) have it.
    """
    if isinstance(schedule, kinds.InverseSqrt):
        risen, now = max(1, schedule.warmup), step + 1
        return peak * min(now / risen, math.sqrt(risen / now))
    if step < schedule.warmup:
        return peak * (step + 1) / (schedule.warmup + 1)
    if not isinstance(schedule, kinds.Falling):
        return peak
    low = peak / 10 if schedule.minimum is None else schedule.minimum
    return low + (peak - low) * _left(schedule, progress)


def highest(schedule: settings.Schedule, peak: float, steps: int) -> float:
    """Return the highest rate of the first `steps`, all of them in the warm-up or before the rate falls."""
    return max((rate(schedule, peak, step, 0.0) for step in range(steps)), default=0.0)


def _left(schedule: kinds.Falling, progress: float) -> float:
    """Return how much of the fall lies ahead: 1 at its start, 0 at its end."""
    if isinstance(schedule, kinds.Cosine):
        return (1 + math.cos(math.pi * progress)) / 2
    if not isinstance(schedule, kinds.Stable):
        return 1 - progress
    way = max(0.0, 1 - (1 - progress) / schedule.decay)  # of the fall itself
    if schedule.fall == "cosine":
        return (1 + math.cos(math.pi * way)) / 2
    return 1 - (math.sqrt(way) if schedule.fall == "sqrt" else way)
