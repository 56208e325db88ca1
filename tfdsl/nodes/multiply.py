"""multiply: several values, multiplied element by element."""

from __future__ import annotations

from tfdsl.joins import Join, broadcast, operands
from tfdsl.node import Node, Ports, Size, Step, Work, Writer
from tfdsl.shapes import Tensor


class Multiply(Join, Node):
    """Multiplies, element by element, what its pipes give or values by their names: `multiply: {from: [a, b]}`.

    `multiply: {with: gate}` multiplies the value before by `gate`. Axes are matched from the last; one of length 1, or
    none, goes with any: [B, T, D] × [B, T, 1] is [B, T, D].
    """

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
        w.let(" * ".join(self.joined(w, step)))

    def work(self, step: Step) -> Work:
        product, *others = operands(step)
        kept: Size = 0
        for other in others:
            kept = kept + product.count + other.count
            product = broadcast(product, other) or product
        return Work(kept=kept)
