"""The learning rate, as a function of how far the training has come."""

from __future__ import annotations

import math

from tfdsl import settings


def rate(schedule: settings.Schedule, peak: float, step: int, progress: float) -> float:
    """Return the learning rate of a step (from 0), when `progress` (0 to 1) of the whole training lies behind it.

    All types rise to `peak` over the warm-up. Then `cosine` (Loshchilov and Hutter, 2017) and `linear` fall to the
    minimum, `constant` stays, and `noam` (Vaswani et al., 2017, equation 3, scaled to `peak`) falls with the root of
    the step.
    """
    if step < schedule.warmup:
        return peak * (step + 1) / (schedule.warmup + 1)
    if schedule.type == "constant":
        return peak
    if schedule.type == "noam":
        return peak * math.sqrt((schedule.warmup + 1) / (step + 1))
    low = peak / 10 if schedule.minimum is None else schedule.minimum
    fall = (1 + math.cos(math.pi * progress)) / 2 if schedule.type == "cosine" else 1 - progress
    return low + (peak - low) * fall
