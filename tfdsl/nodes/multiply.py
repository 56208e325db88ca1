"""multiply: several pipes over the same value, multiplied element by element."""

from __future__ import annotations

from tfdsl.joins import Join
from tfdsl.node import Node, Ports, Step, Work, Writer
from tfdsl.shapes import Tensor


class Multiply(Join, Node):
    """Multiplies what its pipes give, element by element; all must have one shape."""

    title = "Product"
    symbol = "×"
    example = """
    dims: {d_model: 512, width: 2048}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: rms}
      - multiply: [[linear: width, activation: silu], [linear: width]]
    """

    def shape(self, io: Ports) -> Tensor:
        return self.alike(io, "multiplies")

    def write(self, w: Writer, step: Step) -> None:
        w.let(" * ".join(w.run(flow) for flow in step.flows))

    def work(self, step: Step) -> Work:
        return Work(kept=2 * step.output.count * (len(step.flows) - 1))
