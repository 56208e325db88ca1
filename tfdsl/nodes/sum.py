"""sum: several pipes over the same value, added."""

from __future__ import annotations

from tfdsl.joins import Join
from tfdsl.node import Node, Ports, Step, Writer
from tfdsl.shapes import Tensor


class Sum(Join, Node):
    """Adds what its pipes give; all must have one shape."""

    title = "Sum"
    symbol = "+"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: rms}
      - sum: [[attention: 8], [ffn: 4 * d_model]]
    """

    def shape(self, io: Ports) -> Tensor:
        return self.alike(io, "adds")

    def write(self, w: Writer, step: Step) -> None:
        w.let(" + ".join(w.run(flow) for flow in step.flows))
