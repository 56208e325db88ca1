"""prepend: learned positions before the others, such as the class token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Sight, Step, Weight, Work, Writer
from tfdsl.parts import Positive
from tfdsl.shapes import Axis, Keep, Tensor


class Prepend(Node):
    """Puts learned positions before the others: [B, T, D] -> [B, tokens + T, D]."""

    headline = "tokens"
    family = "embedding"
    title = "Learned tokens"
    example = """
    dims: {d_model: 768, tokens: 1}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - prepend: {from: x, tokens: tokens}
    """
    tokens: Positive = Field(1, description="How many positions are added.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        *outer, positions, width = x.axes
        keep = positions.keep
        if keep is not None:
            keep = Keep(keep.inputs, keep.before + self.tokens)
        return replace(x, axes=(*outer, Axis(positions.size + self.tokens, keep=keep), width))

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight((self.tokens, step.width), decays=False)}

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> Call:
        return Call("Prepend", (self.tokens, step.width))

    def write(self, w: Writer, step: Step) -> None:
        start = w.start(step.output)
        w.let(f"{w.layer(self.call(step))}({w.x}{f', {start}' if start else ''})")

    def sight(self, step: Step) -> Sight:
        return "place"

    def facts(self, step: Step) -> str:
        return f"{self.tokens} before the others"
