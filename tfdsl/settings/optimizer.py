"""How the weights move: the optimiser, which weights it treats in a way of their own, and the average of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tfdsl.parts import Choice, Number, Part, Positive, PositiveReal, Truth, problem
from tfdsl.settings.ranges import NotBelow, Share, known

Betas = tuple[Share, Share]
MOMENTS = "Decay of the first and of the second moment, a step"
DECAY = "Share of a weight that decays which goes each step, times the learning rate"


class Group(Part):
    """What holds for the weights whose names match, in place of what holds for the others; a later group goes first."""

    headline = "match"

    match: str = Field(description="Names of weights, with `*` for any text: `decoder.*`, `*.bias`, `layers.0.*`")
    lr: PositiveReal | None = Field(default=None, description="Factor of their learning rate: 0.1 is a tenth of it")
    weight_decay: NotBelow | None = Field(
        default=None, description="Their weight decay, of norms, biases and embeddings too"
    )
    freeze: Truth = Field(default=False, description="Leave them as they are at the start")

    @model_validator(mode="after")
    def _frozen_has_no_rate(self) -> Group:
        if self.freeze is True and not (self.lr is None and self.weight_decay is None):
            raise problem("D129", "weights that are frozen have no learning rate and no decay")
        return self


class Optimizer(Choice):
    """What moves the weights along their gradients.

    Matrices decay; norms, biases, embeddings and positions do not, unless a group says so.
    """

    default_type = "adamw"

    lr: PositiveReal = Field(default=1e-3, description="The highest learning rate of the schedule")
    weight_decay: NotBelow = Field(default=0.1, description=DECAY)
    groups: tuple[Group, ...] = Field(default=(), description="Weights that are treated otherwise, by their names")


class AdamW(Optimizer, type="adamw"):
    """AdamW (Loshchilov and Hutter, 2019), fused."""

    betas: Betas = Field(default=(0.9, 0.95), description=MOMENTS)
    eps: PositiveReal = Field(default=1e-8, description="Added to the root of the second moment")


class Rest(Part):
    """AdamW for the weights that Muon does not move."""

    lr: PositiveReal = Field(default=1e-3, description="Their highest learning rate; it moves as the schedule does")
    weight_decay: NotBelow = Field(default=0.1, description=DECAY)
    betas: Betas = Field(default=(0.9, 0.95), description=MOMENTS)
    eps: PositiveReal = Field(default=1e-8, description="Added to the root of the second moment")


class Muon(Optimizer, type="muon"):
    """Muon (Jordan et al., 2024) for the matrices inside blocks, AdamW for all else.

    All else is embeddings, heads, norms, biases, positions and weights of one axis or of more than two.
    """

    momentum: Share = Field(default=0.95, description="Share of the step before that goes into the next")
    nesterov: Truth = Field(default=True, description="Look a step ahead (Nesterov, 1983)")
    iterations: Annotated[int, Number(integer=True, minimum=1, below=100)] = Field(
        default=5, description="Newton-Schulz iterations that make a step orthogonal"
    )
    scale: Literal["adamw", "original"] = Field(
        default="adamw",
        description="How long a step is: as AdamW's at the same `lr` (Liu et al., 2025), or as Jordan's, whose `lr` is "
        "about 0.02",
    )
    rest: Rest = Field(default=Rest(), description="AdamW's settings for the weights that Muon does not move")


class Adafactor(Optimizer, type="adafactor"):
    """Adafactor (Shazeer and Stern, 2018) as PyTorch has it: no first moment, the second by rows and by columns.

    A step is `lr` times the root mean square of the weight, and at most the inverse root of the step's number times it.
    """

    lr: PositiveReal = Field(default=1e-2, description="The highest relative step of the schedule")
    weight_decay: NotBelow = Field(default=0.0, description=DECAY)
    beta2_decay: Annotated[float, Number(maximum=0)] = Field(
        default=-0.8, description="The new share of the second moment at step t is t to this power"
    )
    eps: PositiveReal = Field(default=1e-3, description="Least root mean square that a weight is taken to have")
    threshold: PositiveReal = Field(default=1.0, description="Longest update, as a root mean square, before `lr`")


class SGD(Optimizer, type="sgd"):
    """Stochastic gradient descent with momentum (Sutskever et al., 2013). The decay is added to the gradient."""

    lr: PositiveReal = Field(default=0.1, description="The highest learning rate of the schedule")
    weight_decay: NotBelow = Field(default=0.0, description="Share of a weight that is added to its gradient")
    momentum: Share = Field(default=0.9, description="Share of the step before that goes into the next")
    nesterov: Truth = Field(default=False, description="Look a step ahead (Nesterov, 1983)")

    @model_validator(mode="after")
    def _ahead_of_what(self) -> SGD:
        if self.nesterov is True and self.momentum == 0:
            raise problem("D129", "`nesterov` looks ahead along the momentum, and `momentum` is 0")
        return self


class Average(Part):
    """An exponential moving average of the weights (Polyak and Juditsky, 1992), which is what is measured and sampled.

    In the first steps it forgets faster: after step t at most (1 + t) / (10 + t) of it stays.
    """

    headline = "decay"

    decay: Annotated[float, Number(above=0, below=1)] = Field(
        default=0.999, description="Share of the average that stays, a step"
    )


class Find(Part):
    """The learning-rate range test of `tfdsl train --find-lr` (Smith, 2017): the rate rises by a factor each step."""

    steps: Positive = Field(default=100, description="Steps of the rise")
    lowest: PositiveReal = Field(default=1e-6, description="Learning rate of the first step")
    highest: PositiveReal = Field(default=1.0, description="Learning rate of the last step")

    @model_validator(mode="after")
    def _rises(self) -> Find:
        if known(self.lowest, self.highest) and self.lowest >= self.highest:
            message = f"the rate rises from `lowest`, {self.lowest:g}, to `highest`, {self.highest:g}, which is no rise"
            raise problem("D129", message, help="give a `lowest` below `highest`")
        return self
