"""conv: a convolution along the positions (Waibel et al. 1989)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from tfdsl.axes import lost
from tfdsl.node import Call, Node, Ports, Sight, Size, Step, Weight, Work, Writer
from tfdsl.parts import Number, Positive, Truth, needed
from tfdsl.shapes import Axis, Tensor

Padding = Annotated[int | str, Number(integer=True, minimum=0, words=("same", "causal"))]


class Conv(Node):
    """Sums over the positions nearby, each times a matrix of its own: [B, T, D] -> [B, T, width].

    y[t] = bias + Σ_j W[j] x[t · stride + j · dilation - padding], with zeros beyond both ends; padded positions count
    as zeros too. There are (T + 2 · padding - dilation · (kernel - 1) - 1) // stride + 1 positions then. Features come
    last: what holds them first is turned before, `rearrange: b c t -> b t c`. Whisper's stem is
    `conv: {width: d, kernel: 3, padding: 1}`, `activation: gelu`, `conv: {kernel: 3, stride: 2, padding: 1}`, and
    gelu once more. A function over single features is `groups: d`, and Mamba's short convolution is
    `conv: {kernel: 4, padding: causal, groups: d}`.
    """

    headline = "kernel"
    family = "linear"
    title = "Convolution"
    example = """
    dims: {d_model: 80, width: 512, kernel: 3}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - conv: {from: x, width: width, kernel: kernel, padding: 1}
    """
    kernel: Positive = needed(description="How many positions are summed over.")
    width: Positive | None = Field(None, description="The features that leave it; as many as enter if left out.")
    stride: Positive = Field(1, description="Every so many positions there is a result.")
    padding: Padding = Field(
        "same",
        description="How many zeros stand before the first position and behind the last. `same` keeps the number of "
        "positions (an odd kernel, without stride); `causal` puts all zeros before, and no position sees a later one.",
    )
    dilation: Positive = Field(1, description="How far apart the positions are that are summed over.")
    groups: Positive = Field(
        1, description="The features fall into so many groups, which do not mix; as many as features: each by itself."
    )
    bias: Truth = Field(True, description="Whether a vector is added.")

    @property
    def span(self) -> int:
        """Return how many positions lie between the first and the last that a result sees."""
        return self.dilation * (self.kernel - 1)

    @property
    def zeros(self) -> int:
        """Return how many zeros stand on each side; those of `causal` stand elsewhere."""
        return self.padding if isinstance(self.padding, int) else self.span // 2 if self.padding == "same" else 0

    def shape(self, io: Ports) -> Tensor:
        x, width = io.sequence(), io.width()
        wide = io.axis("width") if self.width is not None else x.axes[-1]
        for said, features in (("enter", width), ("leave", wide.known)):
            if features % self.groups:
                io.fail("T267", f"{features} features that {said} do not divide into {self.groups} groups", "groups")
        if self.padding == "same" and (self.span % 2 or self.stride > 1):
            why = "a kernel with no middle" if self.span % 2 else f"a stride of {self.stride}"
            io.fail("T267", f"`same` cannot keep the number of positions with {why}", "padding", help="give a number")
        return Tensor((x.axes[0], self._positions(io, x.axes[1]), wide))

    def _positions(self, io: Ports, axis: Axis) -> Axis:
        more = self.span if self.padding == "causal" else 2 * self.zeros
        room = axis.size + (more - self.span - 1)
        if isinstance(room, int) and room < 0:
            io.fail("T267", f"{axis} positions are fewer than a kernel of {self.kernel} spans", "kernel")
        length = room // self.stride + 1
        if length == axis.size:
            return axis
        lost(io, axis)
        return Axis(length)

    def weights(self, step: Step) -> Mapping[str, Weight]:
        shift = {"bias": Weight((step.output_width,), "zeros", decays=False)} if self.bias else {}
        return {"weight": Weight((step.output_width, step.width // self.groups, self.kernel)), **shift}

    def work(self, step: Step) -> Work:
        flops = 2 * step.output.count * (step.width // self.groups) * self.kernel
        before: Size = step.x.axes[0].size * self.span * step.width
        if step.x.axes[1].parts and self.sight(step) == "behind":
            # What each position reads, and which of it is of its own document.
            read = step.x.positions * self.kernel
            return Work(flops=flops, entering=flops, kept=read * step.width + read // 4, cache=self._cached(step))
        if self._copies(step):
            longer = before if self.padding == "causal" else 0
            return Work(flops=flops, entering=flops, kept=step.x.count + longer, cache=self._cached(step))
        return Work(flops=flops, entering=flops, needs=("x",))

    def _copies(self, step: Step) -> bool:
        """Return whether what it takes is copied first: zeros are put before it, or in place of padding."""
        return (self.padding == "causal" and self.span > 0) or step.x.axes[1].keep is not None

    def _cached(self, step: Step) -> Size:
        return step.x.axes[0].size * self.span * step.width if self.sight(step) == "behind" else 0

    def call(self, step: Step) -> Call:
        named = {"stride": self.stride, "padding": self.zeros, "dilation": self.dilation, "groups": self.groups}
        named = {name: value for name, value in named.items() if value != (0 if name == "padding" else 1)}
        if not self.bias:
            named["bias"] = False
        layer = "CausalConv" if self.padding == "causal" else "Conv"
        return Call(layer, (step.width, step.output_width, self.kernel), named)

    def write(self, w: Writer, step: Step) -> None:
        keep = w.keep(step.x.axes[1])
        given = [w.x, *([f"keep_BT={keep}"] if keep else [])]
        if self.sight(step) == "behind" and w.cache():
            given.append(f"cache={w.cache()}")
        if self.sight(step) == "behind" and (place := w.place(step.x.axes[1], fresh=True)):
            given.append(f"place_BT={place}")
        w.let(f"{w.layer(self.call(step))}({', '.join(given)})")

    def sight(self, step: Step) -> Sight:
        if self.stride == 1 and self.padding == "causal" and self.span:
            return "behind"
        return "here" if self.kernel == self.stride == 1 and not self.zeros else "everywhere"

    def leaks(self, step: Step) -> str:
        return "" if self.sight(step) == "behind" else super().leaks(step)

    def facts(self, step: Step) -> str:
        parts = [f"kernel {self.kernel}", f"stride {self.stride}" if self.stride > 1 else ""]
        parts += ["causal" if self.padding == "causal" else "", f"{self.groups} groups" if self.groups > 1 else ""]
        parts += ["per document" if step.x.axes[1].parts and self.sight(step) == "behind" else ""]
        return " · ".join(part for part in parts if part)
