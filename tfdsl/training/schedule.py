"""The learning rate, as a function of how far the training has come."""

from __future__ import annotations

import math

from tfdsl import settings
from tfdsl.settings import schedule as kinds


def rate(schedule: settings.Schedule, peak: float, step: int, steps: int, clock: float = 0.0) -> float:
    """Return the learning rate of a step (from 1) of `steps`, when the share `clock` (0 to 1) of the time is gone.

    Over a warm-up of W steps it is `peak` · step / W, so that step W has `peak`, and so has step 1 where W is 0. What
    falls does so from there to the last step, which has `minimum`, or by the clock where that is further along.
    `inverse_sqrt` is Vaswani et al. (2017, equation 3).
    """
    risen = max(1, schedule.warmup)
    if step <= risen:
        return peak * (step / risen)
    if isinstance(schedule, kinds.InverseSqrt):
        return peak * math.sqrt(risen / step)
    if not isinstance(schedule, kinds.Falling):
        return peak
    low = peak / 10 if schedule.minimum is None else schedule.minimum
    left = _left(schedule, min(1.0, max((step - risen) / (steps - risen), clock)))
    return peak * left + low * (1 - left)  # both ends to the bit


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
