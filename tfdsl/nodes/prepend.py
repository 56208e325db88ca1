"""prepend: learned positions before the others, such as the class token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field

from tfdsl.axes import lost, shifted
from tfdsl.node import Call, Node, Ports, Sight, Step, Weight, Work, Writer
from tfdsl.parts import Natural, Positive
from tfdsl.shapes import Axis, Tensor


class Prepend(Node):
    """Puts learned positions before the others: [B, T, D] -> [B, tokens + T, D].

    The class token of ViT is `prepend: 1`; DeiT's class and distillation tokens are `prepend: 2`. A second `prepend`
    stands before the first. Registers that come behind the positions were added, between the class token and the
    patches, are `prepend: {tokens: 4, after: 1}`, as in DINOv2 with registers.
    """

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
    after: Natural = Field(0, description="How many of the positions stay before them.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        *outer, positions, width = x.axes
        if isinstance(positions.size, int) and positions.size < self.after:
            io.fail("T264", f"there are {positions} positions, and {self.after} cannot stay before", "after")
        keep = None
        if positions.keep is not None:
            real = not self.after or positions.keep.before >= self.after
            keep = shifted(positions.keep, self.tokens) if real else None
            if keep is None:
                lost(io, positions)
        return replace(x, axes=(*outer, Axis(positions.size + self.tokens, keep=keep), width))

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight((self.tokens, step.width), decays=False)}

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> Call:
        return Call("Prepend", (self.tokens, step.width), {"after": self.after or None})

    def write(self, w: Writer, step: Step) -> None:
        start = w.start(step.output)
        w.let(f"{w.layer(self.call(step))}({w.x}{f', {start}' if start else ''})")

    def sight(self, step: Step) -> Sight:
        return "unknown" if self.after else "place"

    def facts(self, step: Step) -> str:
        return f"{self.tokens} behind the first {self.after}" if self.after else f"{self.tokens} before the others"
