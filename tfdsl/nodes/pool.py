"""pool: one vector from all positions."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from tfdsl.node import Node, Ports, Sight, Step, Work, Writer
from tfdsl.shapes import Tensor


class Pool(Node):
    """Makes one vector of a sequence: [B, T, D] -> [B, D]. Padding does not count."""

    family = "linear"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - pool: {from: x, type: mean}
    """
    plain: ClassVar[str]  # the expression where there is no padding

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        return replace(x, axes=(*x.axes[:-2], x.axes[-1]))

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        keep = w.keep(step.x.axes[-2])
        w.let(f"{self.type_name}_of_kept({w.x}, {keep})" if keep else self.plain.format(x=w.x))

    def sight(self, step: Step) -> Sight:
        return "everywhere"


class First(Pool, type="first"):
    """Takes the first position, as BERT and ViT do."""

    title = "First position"
    plain = "{x}[:, 0]"

    def work(self, step: Step) -> Work:
        return Work(needs=("x",))

    def write(self, w: Writer, step: Step) -> None:
        w.let(self.plain.format(x=w.x))


class Last(Pool, type="last"):
    """Takes the last position that is not padding."""

    title = "Last position"
    plain = "{x}[:, -1]"

    def work(self, step: Step) -> Work:
        return Work(needs=("x",))


class Mean(Pool, type="mean"):
    """Takes the mean of the positions that are not padding."""

    title = "Mean over positions"
    plain = "{x}.mean(dim=1)"


class Max(Pool, type="max"):
    """Takes the greatest value of each feature over the positions that are not padding."""

    title = "Maximum over positions"
    plain = "{x}.amax(dim=1)"

    def work(self, step: Step) -> Work:
        return Work(needs=("x", "y"))
