"""append: learned positions behind the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from tfdsl.axes import lost, shifted
from tfdsl.node import Call, Node, Ports, Sight, Step, Weight, Work
from tfdsl.parts import Positive
from tfdsl.shapes import Axis, Tensor


class Append(Node):
    """Puts learned positions behind the others, padding too: [B, T, D] -> [B, T + tokens, D]."""

    headline = "tokens"
    family = "embedding"
    title = "Learned tokens"
    example = """
    dims: {d_model: 768, tokens: 1}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - append: {from: x, tokens: tokens}
    """
    tokens: Positive = Field(1, description="How many positions are added.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        *outer, positions, width = x.axes
        keep = shifted(positions.keep, after=self.tokens)
        if keep is None:
            lost(io, positions)
        return replace(x, axes=(*outer, Axis(positions.size + self.tokens, keep=keep), width))

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight((self.tokens, step.width), decays=False)}

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> Call:
        return Call("Append", (self.tokens, step.width))

    def sight(self, step: Step) -> Sight:
        return "unknown"

    def facts(self, step: Step) -> str:
        return f"{self.tokens} behind the others"
