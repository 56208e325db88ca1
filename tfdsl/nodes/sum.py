"""sum: several values, added."""

from __future__ import annotations

from tfdsl.joins import Join
from tfdsl.node import Node, Ports, Step, Writer
from tfdsl.shapes import Tensor


class Sum(Join, Node):
    """Adds what its pipes give, `sum: [[attention], [ffn]]`, or values by their names, `sum: {from: [a, b]}`.

    `sum: {with: a}` adds `a` to the value before. Axes are matched from the last; one of length 1, or none, goes with
    any: [B, T, D] + [T, D] is [B, T, D].
    """

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
        w.let(" + ".join(self.joined(w, step)))
