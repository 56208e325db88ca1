"""scale: the value times a number, and a number added."""

from __future__ import annotations

from pydantic import Field

from tfdsl.node import Node, Ports, Step, Work, Writer
from tfdsl.parts import Real, needed
from tfdsl.shapes import Tensor


class Scale(Node):
    """y = by · x + add, element by element, with fixed numbers: `scale: 0.5`, or 1 - x as `scale: {by: -1, add: 1}`."""

    keeps = True
    headline = "by"
    title = "Scale"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - scale: {from: x, by: d_model ** -0.5}
    """
    by: Real = needed(description="What every element is multiplied by.")
    add: Real = Field(0.0, description="What is added then.")

    def shape(self, io: Ports) -> Tensor:
        return io.floats()

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        w.let(f"{self.by!r} * {w.x}{f' + {self.add!r}' if self.add else ''}")

    def facts(self, step: Step) -> str:
        return f"× {step.said('by', self.by)}{f' + {self.add:.6g}' if self.add else ''}"
