"""scale: the value times a number."""

from __future__ import annotations

from tfdsl.node import Node, Ports, Step, Work, Writer
from tfdsl.parts import Real, needed
from tfdsl.shapes import Tensor


class Scale(Node):
    """Multiplies every element by one fixed number."""

    keeps = True
    headline = "by"
    title = "Scale"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - scale: {from: x, by: d_model ** -0.5}
    """
    by: Real = needed(description="The number.")

    def shape(self, io: Ports) -> Tensor:
        return io.floats()

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        w.let(f"{self.by!r} * {w.x}")

    def facts(self, step: Step) -> str:
        return f"× {step.said('by', self.by)}"
