"""How the learning rate moves over the steps: a class a type, its fields its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tfdsl.parts import Choice, Number, problem
from tfdsl.settings.ranges import NotBelow

End = Annotated[float, Number(above=0, maximum=1)]


class Schedule(Choice):
    """How the learning rate moves: it rises over the warm-up to `optimizer.lr`, then follows the `type`.

    Steps count from 1. What falls does so from `lr` at the warm-up's last step W (1 where there is none) to `minimum`
    at the last step N: after the share p = (t - W) / (N - W) of the way it is `minimum` + (`lr` - `minimum`) · left(p).
    """

    default_type = "cosine"

    warmup: Annotated[Any, Number(minimum=0, words=("auto",))] = Field(
        default="auto",
        description="Steps of the rise: step t of them has t / warmup of `lr`, so that the last one has all of it (and "
        "step 1, where this is 0); a number below 1 is a share of `steps`; `auto` is 100, or a tenth of `steps` where "
        "that is less",
    )

    @model_validator(mode="after")
    def _steps_are_whole(self) -> Schedule:
        if isinstance(self.warmup, float) and self.warmup >= 1 and not self.warmup.is_integer():
            wanted = "whole steps, or a share below 1"
            raise problem("E404", f"a warm-up of {self.warmup:g} is neither", expected=wanted)
        return self

    def settled(self, steps: int) -> Self:
        """Return the schedule of a training of `steps`, its warm-up in steps."""
        if self.warmup == "auto":
            risen = min(100, steps / 10)
        else:
            risen = self.warmup * steps if self.warmup < 1 else self.warmup
        return self.model_copy(update={"warmup": round(risen)})


class Constant(Schedule, type="constant"):
    """It stays at `optimizer.lr`."""


class Falling(Schedule):
    """A schedule with an end to fall to."""

    minimum: NotBelow | None = Field(
        default=None,
        description="Learning rate of the last step; a tenth of `lr` if left out. At 0, that step moves nothing",
    )


class Linear(Falling, type="linear"):
    """It falls in a line: left(p) = 1 - p."""


class Cosine(Falling, type="cosine"):
    """It falls as half a cosine wave does (Loshchilov and Hutter, 2017): left(p) = (1 + cos πp) / 2."""


class InverseSqrt(Schedule, type="inverse_sqrt"):
    """It falls with the root of the step: `lr` · min(step / warmup, √(warmup / step)), steps from 1.

    Vaswani et al. (2017, equation 3), whose `lr` is 1 / √(d_model · warmup).
    """


class Noam(InverseSqrt, type="noam"):
    """The same as `inverse_sqrt`, by the name of its author."""


class Stable(Falling, type="wsd"):
    """It stays, and falls at the end: warm-up, stable, decay (Hu et al., 2024).

    In the last `decay` of the way, left is that of the `fall` at the share (p - 1 + decay) / decay.
    """

    decay: End = Field(default=0.2, description="Share of the steps after the warm-up over which it falls")
    fall: Literal["linear", "cosine", "sqrt"] = Field(
        default="linear", description="How: in a line, as a cosine, or as 1 - √ of the way (Hägele et al., 2024)"
    )
