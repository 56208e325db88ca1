"""heads: what makes scores of a model's hidden states, left out or narrowed where not all of them are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl import declared, graph
from tfdsl.checking import Checked
from tfdsl.identifiers import attribute

Model = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Head:
    """The `module` (its name in the model) whose result is the model's `output` as it is, and is read by nothing."""

    output: str
    module: str


@dataclass(frozen=True, slots=True, eq=False)
class Unscored:
    """What a model gives whose head is left to the loss: hidden states `x` [..., D], and the head's matrix and bias."""

    x: Tensor
    weight_VD: Tensor
    bias_V: Tensor | None

    def scores(self) -> Tensor:
        """Return the scores [..., V], all of them."""
        return F.linear(self.x, self.weight_VD, self.bias_V)


def of(checked: Checked) -> Head | None:
    """Return the head of a sound spec: an `unembed` at the end of a pipe, if an output is what it gives."""
    return _head(checked, ())


def narrowed(checked: Checked) -> Head | None:
    """Return the head of a sound spec that may be asked for some positions alone.

    Behind it may stand what works on each score by itself.
    """
    return _head(checked, ("softcap", "scale"))


def _head(checked: Checked, behind: tuple[str, ...]) -> Head | None:
    """Return the `unembed` that an output comes from, through nodes of the kinds `behind` alone."""
    flows = graph.build(checked)
    prefixed = declared.several(checked)
    for output, value in checked.outputs.items():
        stream = checked.streams.get(value.home)
        steps = stream.flow.steps if stream is not None else ()
        if not steps or value.name not in (value.home, steps[-1].node.id):
            continue
        place = len(steps) - 1
        while place and steps[place].node.kind in behind:
            place -= 1
        names = [f"{value.home}.{step.name}" if prefixed else step.name for step in steps[place:]]
        read = [*([name] for name in names[1:]), []]  # each by the next, the last by nothing
        alone = [each.name for each in checked.outputs.values()].count(value.name) == 1
        if steps[place].node.kind == "unembed" and alone and [list(flows.successors(name)) for name in names] == read:
            return Head(output, f"{attribute(value.home)}.{steps[place].name}" if prefixed else steps[place].name)
    return None


class Leaving(nn.Linear):
    """A linear map that may be left out for a while, then it gives what it takes, or made of the `last` positions."""

    out = False
    last: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Return the map of `input`, or `input`."""
        if self.out:
            return input
        return super().forward(input if self.last is None else input[:, -self.last :])


def leaving(model: nn.Module, head: Head | None) -> Leaving | None:
    """Return the head of a model as one that can be left out; None where the model has none that is a linear map."""
    linear = dict(model.named_modules()).get(head.module) if head is not None else None
    if type(linear) not in (nn.Linear, Leaving):
        return None
    assert isinstance(linear, nn.Linear), "the type was looked at"
    linear.__class__ = Leaving
    assert isinstance(linear, Leaving), "the type was set"
    return linear


@dataclass(frozen=True, slots=True, eq=False)
class Headed:
    """A model to call, which may be asked for what its head would read in place of what the head makes of it."""

    call: Model
    linear: Leaving
    output: str

    def __call__(self, *inputs: Tensor) -> Any:
        """Return what the model gives."""
        return self.call(*inputs)

    def unscored(self, *inputs: Tensor) -> Unscored:
        """Return the hidden states that the head would read, with its weights."""
        self.linear.out = True
        try:
            found = self.call(*inputs)
        finally:
            self.linear.out = False
        x = found[self.output] if isinstance(found, dict) else found
        return Unscored(x, self.linear.weight, self.linear.bias)


def leave(model: nn.Module, head: Head | None, call: Model) -> Model:
    """Return `call`, which calls `model`, as a model whose head can be left out; `call` itself where there is none."""
    linear = leaving(model, head)
    return call if head is None or linear is None else Headed(call, linear, head.output)
