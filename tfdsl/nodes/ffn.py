"""ffn: two matrices and a non-linearity between them, the same for every position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from tfdsl.activations import TITLES, Activation, is_gated, kept, slope
from tfdsl.look import Box, Element, Fork, number
from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import Positive, Probability, Truth, needed
from tfdsl.shapes import Axis, Tensor


class FeedForward(Node):
    """Widens each position to `hidden` units, applies the activation and narrows it again (arXiv:1706.03762, eq. 2).

    A gated activation (arXiv:2002.05202) has two widening matrices, of which one makes the gate.
    """

    keeps = True
    headline = "hidden"
    family = "ffn"
    title = "Feed-forward"
    example = """
    dims: {d_model: 512, hidden: 2048}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - ffn: {from: x, hidden: hidden, activation: swiglu}
    """
    hidden: Positive = needed(description="The number of units between the two matrices.")
    activation: Activation = Field("gelu", description="The non-linearity; a gated one adds a matrix.")
    bias: Truth = Field(False, description="Whether each matrix has a vector added.")
    dropout: Probability = Field(0.0, description="Dropout on the hidden units.")

    def shape(self, io: Ports) -> Tensor:
        io.width()
        return io.x

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width, up = step.width, self.hidden * (2 if is_gated(self.activation) else 1)
        weights = {"up.weight": Weight((up, width)), "down.weight": Weight((width, self.hidden), "output")}
        if self.bias:
            weights |= {
                "up.bias": Weight((up,), "zeros", decays=False),
                "down.bias": Weight((width,), "zeros", decays=False),
            }
        return weights

    def work(self, step: Step) -> Work:
        positions = step.x.positions
        up = self.hidden * (2 if is_gated(self.activation) else 1)
        entering, leaving = 2 * positions * step.width * up, 2 * positions * step.width * self.hidden
        hidden = positions * self.hidden * kept(self.activation, self.dropout > 0)
        return Work(flops=entering + leaving, entering=entering, kept=hidden, needs=("x",))

    def call(self, step: Step) -> Call:
        return Call(
            "FeedForward",
            (step.width, self.hidden),
            {"activation": self.activation, "bias": self.bias, "dropout": self.dropout},
        )

    def facts(self, step: Step) -> str:
        return f"{step.width} → {self.hidden} → {step.width} · {TITLES[self.activation]}"

    def inside(self, step: Step) -> tuple[Element, ...]:
        wide = replace(step.x, axes=(*step.x.axes[:-1], Axis(self.hidden))).label
        width, shift = step.x.axes[-1].label, self.hidden if self.bias else 0
        facts, up = f"{width} → {self.hidden}", number(step.width * self.hidden + shift)
        function = Box("activation", "ffn", TITLES[self.activation])
        if is_gated(self.activation):
            function = Box("activation", "ffn", TITLES[slope(self.activation)])
            ways = (Box("gate", "ffn", "Gate", facts, up, wide), function), (Box("up", "ffn", "Up", facts, up, wide),)
            widened: tuple[Element, ...] = (Fork("gated", ways, "×", wide),)
        else:
            widened = (Box("up", "ffn", "Up", facts, up, wide), function)
        dropped = (Box("dropout", "mask", "Dropout", f"p = {self.dropout:g}"),) if self.dropout else ()
        down = number(self.hidden * step.width + (step.width if self.bias else 0))
        return (*widened, *dropped, Box("down", "ffn", "Down", f"{self.hidden} → {width}", down, step.output.label))
