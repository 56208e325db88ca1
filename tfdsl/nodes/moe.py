"""moe: a mixture of experts, of which a router picks a few for each position (arXiv:1701.06538)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from tfdsl.activations import TITLES, Activation, is_gated, kept
from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import Positive, needed
from tfdsl.shapes import Tensor


class MixtureOfExperts(Node):
    """Sends each position through the `top_k` experts that a softmax router scores highest, and mixes their results.

    The weights of the chosen are scaled to add up to one. No expert has a capacity, so no position is dropped, and what
    a position gets depends on it alone.
    """

    keeps = True
    headline = "experts"
    family = "ffn"
    title = "Mixture of experts"
    example = """
    dims: {d_model: 512, experts: 8, top_k: 2, hidden: 1024}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - moe: {from: x, experts: experts, top_k: top_k, hidden: hidden, activation: swiglu}
    """
    experts: Positive = needed(description="The number of experts.")
    top_k: Positive = needed(description="How many of them a position goes through.")
    hidden: Positive = needed(description="The hidden units of an expert.")
    activation: Activation = Field("gelu", description="The experts' non-linearity; a gated one adds a matrix.")

    def shape(self, io: Ports) -> Tensor:
        io.width()
        if self.top_k > self.experts:
            io.fail("T209", f"a position cannot go through {self.top_k} of {self.experts} experts", "top_k")
        return io.x

    def up(self) -> int:
        """Return the units that the first matrix of an expert makes."""
        return self.hidden * (2 if is_gated(self.activation) else 1)

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width = step.width
        return {
            "router.weight": Weight((self.experts, width)),
            "up": Weight((self.experts, self.up(), width)),
            "down": Weight((self.experts, width, self.hidden), "output"),
        }

    def work(self, step: Step) -> Work:
        rows = step.x.positions * self.top_k  # an expert's for a position
        entering = 2 * step.width * (step.x.positions * self.experts + rows * self.up())
        hidden = rows * self.hidden * kept(self.activation, dropout=False)
        mixed = rows * (3 * step.width + 1)  # what the experts take, what they give in two orders, and their shares
        order = 6 * rows  # which expert, from where, and back to where: ids
        flops = entering + 2 * rows * self.hidden * step.width
        return Work(flops=flops, entering=entering, kept=hidden + mixed + order, needs=("x",))

    def call(self, step: Step) -> Call:
        named = {"experts": self.experts, "top_k": self.top_k, "activation": self.activation}
        return Call("MixtureOfExperts", (step.width, self.hidden), named)

    def facts(self, step: Step) -> str:
        return (
            f"{self.top_k} of {self.experts} · {step.width} → {self.hidden} → {step.width} · {TITLES[self.activation]}"
        )
