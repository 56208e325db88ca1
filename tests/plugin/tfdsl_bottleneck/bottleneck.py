"""bottleneck: down to a few features and up again, added to what it took (arXiv:1902.00751)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import Positive, Truth, needed
from tfdsl.shapes import Tensor


class Bottleneck(Node):
    """Adds to each position what a narrow matrix, ReLU and a wide matrix make of it: [..., D] -> [..., D]."""

    headline = "width"
    family = "linear"
    title = "Bottleneck"
    layers = "layers.py"
    width: Positive = needed(description="The features in the middle.")
    twice: Truth = Field(False, description="Whether ReLU is squared.")

    def shape(self, io: Ports) -> Tensor:
        if io.width() <= self.width:
            io.fail("T290", f"{self.width} features are no bottleneck for {io.width()}", "width")
        return io.x

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {
            "down.weight": Weight((self.width, step.width)),
            "up.weight": Weight((step.width, self.width), "output"),
        }

    def work(self, step: Step) -> Work:
        half = 2 * step.x.count * self.width
        kept = step.x.positions * self.width * (2 if self.twice else 1)
        return Work(flops=2 * half, entering=half, kept=kept, needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("Bottleneck", (step.width, self.width), {"twice": self.twice})

    def facts(self, step: Step) -> str:
        return f"{step.width} → {self.width} → {step.width}"
