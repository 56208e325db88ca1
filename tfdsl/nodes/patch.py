"""patch: an image cut into rectangles, each of which becomes one position (arXiv:2010.11929)."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import Natural, Positive, Sides, Truth, needed
from tfdsl.shapes import Axis, Tensor


class Patch(Node):
    """Cuts an image into rectangles and multiplies each by a matrix: [B, C, H, W] -> [B, N, width].

    The patches stand row by row, from left to right. With three sizes it cuts a film [B, C, F, H, W] into boxes, frame
    by frame. A side of S pixels gives (S + 2 · padding - size) // stride + 1 patches.
    """

    headline = "size"
    family = "embedding"
    title = "Patch embedding"
    example = """
    dims: {channels: 3, side: 14, size: 16, image: side * size, d_model: 768}
    inputs: {pixels: {shape: [B, channels, image, image], dtype: float}}
    model:
      - patch: {from: pixels, size: size, width: d_model}
    """
    size: Sides = needed(
        description="The side of a square in pixels, or `[height, width]`, or `[frames, height, width]`."
    )
    width: Positive = needed(description="The number of features of a position.")
    stride: Sides | None = Field(
        None,
        description="How far the next patch begins; its size if left out. Smaller, and patches overlap; what is left "
        "over at the end is then not read.",
    )
    padding: Natural = Field(0, description="How many zeros are put around the image, on each side; with `stride`.")
    groups: Positive = Field(
        1,
        description="Channels and features fall into so many groups, which do not mix. A convolution over a grid of "
        "positions, each feature by itself, is `{size: 3, stride: 1, padding: 1, groups: d}` between two `rearrange`.",
    )
    bias: Truth = Field(True, description="Whether a vector is added.")

    def given(self) -> dict[str, Any]:
        found = super().given()
        for name in ("size", "stride"):
            if isinstance(found.get(name), tuple) and len(found[name]) == 1:
                found[name] = found[name][0]
        return found

    def shape(self, io: Ports) -> Tensor:
        x = io.floats()
        rank = 2 if len(self.size) == 1 else len(self.size)
        if rank not in (2, 3) or len(x.axes) != rank + 2:
            io.fail("T202", f"`patch` reads images [B, C, H, W] or, with three sizes, films, and this is {x}", "from")
        if self.stride is not None and len(self.stride) not in (1, rank):
            io.fail("T267", f"`stride` has {len(self.stride)} numbers for {rank} sides", "stride")
        if self.padding and self.stride is None:
            io.fail("T267", "zeros around an image shift its patches: say with `stride` where they begin", "padding")
        batch, *sized = x.axes
        for axis in sized:
            if not isinstance(axis.size, int):
                io.fail("T205", f"`patch` needs sizes that are known, and `{axis}` is not", "from")
        for said, count in (("channels", sized[0].known), ("features", self.width)):
            if count % self.groups:
                io.fail("T267", f"{count} {said} do not divide into {self.groups} groups", "groups")
        sides = zip(sized[1:], self.sides(x), self.strides(x), strict=True)
        return Tensor((batch, Axis(prod(self._along(io, *each) for each in sides)), io.axis("width")))

    def _along(self, io: Ports, side: Axis, size: int, stride: int) -> int:
        """Return how many patches stand along a side."""
        notes = io.origin(side, f"the side is {side} here")
        room = side.known + 2 * self.padding - size
        if self.stride is None and (left := side.known % size):
            message = f"{side} pixels do not divide into patches of {size}: {left} are left over"
            io.fail("T210", message, "size", notes=notes)
        if room < 0:
            io.fail("T210", f"a patch of {size} is larger than a side of {side}", "size", notes=notes)
        return room // stride + 1

    def sides(self, x: Tensor) -> tuple[int, ...]:
        """Return the size of a patch along each side."""
        return self.size if len(self.size) > 1 else self.size * (len(x.axes) - 2)

    def strides(self, x: Tensor) -> tuple[int, ...]:
        """Return how far the next patch begins along each side."""
        if self.stride is None:
            return self.sides(x)
        return self.stride if len(self.stride) > 1 else self.stride * (len(x.axes) - 2)

    def weights(self, step: Step) -> Mapping[str, Weight]:
        shift = {"bias": Weight((self.width,), "zeros", decays=False)} if self.bias else {}
        return {"weight": Weight((self.width, step.x.axes[1].known // self.groups, *self.sides(step.x))), **shift}

    def work(self, step: Step) -> Work:
        flops = 2 * step.output.count * (step.x.axes[1].known // self.groups) * prod(self.sides(step.x))
        return Work(flops=flops, entering=flops, needs=("x",))

    def call(self, step: Step) -> Call:
        size, stride = _short(self.sides(step.x)), _short(self.strides(step.x))
        more = {"padding": self.padding, "groups": self.groups}
        named = {"stride": None if stride == size else stride, "bias": self.bias}
        named |= {name: value for name, value in more.items() if value != (0 if name == "padding" else 1)}
        layer = "Patch" if len(step.x.axes) == 4 else "Tubelet"
        return Call(layer, (step.x.axes[1].size, self.width, size), named)

    def facts(self, step: Step) -> str:
        size = " × ".join(map(str, self.sides(step.x)))
        apart = f", {' × '.join(map(str, self.strides(step.x)))} apart" if self.stride is not None else ""
        return f"{size} pixels{apart} → {step.output.axes[-1].label}"


def _short(sides: tuple[int, ...]) -> int | tuple[int, ...]:
    """Return one number where all are the same."""
    return sides[0] if len(set(sides)) == 1 else sides
