"""patch: an image cut into squares, each of which becomes one position (arXiv:2010.11929)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import Positive, Truth, needed
from tfdsl.shapes import Axis, Tensor


class Patch(Node):
    """Cuts an image into squares and multiplies each by a matrix: [B, C, H, W] -> [B, (H / size) (W / size), width]."""

    headline = "size"
    family = "embedding"
    title = "Patch embedding"
    example = """
    dims: {channels: 3, side: 14, size: 16, image: side * size, d_model: 768}
    inputs: {pixels: {shape: [B, channels, image, image], dtype: float}}
    model:
      - patch: {from: pixels, size: size, width: d_model}
    """
    size: Positive = needed(description="The side of a square, in pixels.")
    width: Positive = needed(description="The number of features of a position.")
    bias: Truth = Field(True, description="Whether a vector is added.")

    def shape(self, io: Ports) -> Tensor:
        x = io.floats()
        if len(x.axes) != 4:
            io.fail("T202", f"`patch` reads images [B, C, H, W], and this is {x}", "from")
        batch, *sized = x.axes
        patches = 1
        for index, side in enumerate(sized):
            if not isinstance(side.size, int):
                io.fail("T205", f"`patch` needs sizes that are known, and `{side}` is not", "from")
            if index == 0:
                continue  # the channels: a patch takes them all
            if left := side.size % self.size:
                io.fail(
                    "T210",
                    f"{side} pixels do not divide into patches of {self.size}: {left} are left over",
                    "size",
                    notes=io.origin(side, f"the side is {side} here"),
                )
            patches *= side.size // self.size
        return Tensor((batch, Axis(patches), io.axis("width")))

    def weights(self, step: Step) -> Mapping[str, Weight]:
        shift = {"bias": Weight((self.width,), "zeros", decays=False)} if self.bias else {}
        channels = step.x.axes[1].size
        assert isinstance(channels, int), "the shape rule asked for sizes that are known"
        return {"weight": Weight((self.width, channels, self.size, self.size)), **shift}

    def work(self, step: Step) -> Work:
        flops = 2 * step.output.count * step.x.axes[1].size * self.size**2
        return Work(flops=flops, entering=flops, needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("Patch", (step.x.axes[1].size, self.width, self.size), {"bias": self.bias})

    def facts(self, step: Step) -> str:
        return f"{self.size} × {self.size} pixels → {step.output.axes[-1].label}"
