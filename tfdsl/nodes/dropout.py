"""dropout: while training, each element is zero with probability p (Srivastava et al., 2014)."""

from __future__ import annotations

from tfdsl.node import Call, Node, Ports, Step, Work, Writer
from tfdsl.parts import Probability, needed
from tfdsl.shapes import Tensor


class Dropout(Node):
    """Zeroes each element with probability p while training, and scales the others by 1 / (1 - p)."""

    keeps = True
    headline = "p"
    family = "mask"
    title = "Dropout"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - dropout: {from: x, p: 0.1}
    """
    p: Probability = needed(description="The probability that an element becomes zero.")

    def shape(self, io: Ports) -> Tensor:
        return io.floats()

    def work(self, step: Step) -> Work:
        return Work(kept=step.x.count if self.p else 0)

    def call(self, step: Step) -> Call:
        return Call("nn.Dropout", (self.p,))

    def write(self, w: Writer, step: Step) -> None:
        if self.p:
            super().write(w, step)

    def facts(self, step: Step) -> str:
        return f"p = {self.p:g}"
