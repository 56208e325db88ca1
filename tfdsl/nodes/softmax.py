"""softmax: numbers along an axis made into shares that add up to 1."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from tfdsl.axes import place, table
from tfdsl.node import Node, Ports, Sight, Step, Work, Writer
from tfdsl.parts import Whole
from tfdsl.shapes import Tensor
from tfdsl.unseen import Hiding, Nothing


class Softmax(Node):
    """exp(x) / Σ exp(x) along one axis: [..., S] -> [..., S]. What `mask` hides, and padding, gets 0.

    As in attention, a query that may see nothing gets 0 everywhere.
    """

    keeps = True
    headline = "axis"
    family = "softmax"
    title = "Softmax"
    example = """
    dims: {heads: 8}
    inputs: {scores: {shape: [B, heads, T, T], dtype: float}}
    model:
      - softmax: {from: scores, mask: causal}
    """
    axis: Whole = Field(-1, description="The axis, counted from 0, or from the end: −1 is the last.")
    mask: Hiding = Field(
        Nothing(), description="Which keys a query sees, where the last two axes are queries and keys, [..., T, S]."
    )

    def shape(self, io: Ports) -> Tensor:
        x = io.floats()
        axis = place(io, x, self.axis)
        self.mask.check(io, x, axis)
        # Padding gets no share, so that what sums over the axis need not leave it out.
        return replace(x, axes=(*x.axes[:axis], replace(x.axes[axis], keep=None), *x.axes[axis + 1 :]))

    def work(self, step: Step) -> Work:
        if self._may_be_empty(step):
            return Work(kept=step.x.count)  # the shares before a query that sees nothing gets zeros
        return Work(needs=("y",))

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        axis = self.axis % len(step.x.axes)
        dim = self.axis if self.axis < 0 else axis
        hidden = self.mask.table(w.x)
        keep = w.keep(step.x.axes[axis])
        if keep:
            padded = f"~{table(keep, axis, len(step.x.axes))}"
            hidden = f"{hidden} | {padded}" if hidden else padded
        empty = ", empty=True" if self._may_be_empty(step) else ""
        w.let(f"softmax_of_seen({w.x}, {hidden}, {dim}{empty})" if hidden else f"{w.x}.softmax(dim={dim})")

    def _may_be_empty(self, step: Step) -> bool:
        """Return whether a query may see nothing: all is padding, or there are more queries than keys."""
        axis = step.x.axes[self.axis % len(step.x.axes)]
        return axis.keep is not None or (self.mask.hides and axis.size != step.x.axes[-2].size)

    def sight(self, step: Step) -> Sight:
        axis = self.axis % len(step.x.axes)
        last = axis == len(step.x.axes) - 1
        features = last and isinstance(step.x.axes[axis].size, int) and not self.mask.hides
        return "here" if features else "unknown"

    def facts(self, step: Step) -> str:
        along = step.x.axes[self.axis % len(step.x.axes)].label
        return f"over {along}{self.mask.said}"
