"""How the weights move: the optimiser, and its learning rate over the steps."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfdsl.parts import Natural, Part, PositiveReal
from tfdsl.settings.ranges import NotBelow, Share


class Optimizer(Part):
    """AdamW (Loshchilov and Hutter, 2019). Matrices decay; biases, norms' gains and other vectors do not."""

    type: Literal["adamw"] = "adamw"
    lr: PositiveReal = Field(default=1e-3, description="The highest learning rate of the schedule")
    betas: tuple[Share, Share] = Field(
        default=(0.9, 0.95), description="Decay of the first and of the second moment, a step"
    )
    weight_decay: NotBelow = Field(
        default=0.1, description="Share of a matrix that goes each step, times the learning rate"
    )
    eps: PositiveReal = Field(default=1e-8, description="Added to the root of the second moment")


class Schedule(Part):
    """How the learning rate moves: it rises over `warmup` steps to `optimizer.lr`, then follows `type`."""

    type: Literal["cosine", "linear", "constant", "noam"] = "cosine"
    warmup: Natural = Field(default=100, description="Steps of the rise from zero")
    minimum: NotBelow | None = Field(default=None, description="Learning rate at the end; a tenth of `lr` if left out")
