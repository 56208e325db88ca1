"""parameter: a learned tensor that depends on no input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Step, Weight, Work, Writer
from tfdsl.parts import Name, Positive, Real, Truth, needed
from tfdsl.shapes import Axis, Tensor


class Parameter(Node):
    """Gives a learned tensor of this shape: -> [shape], or with `batch`, for every row of a batch: -> [B, shape].

    It takes no value. The learned queries of a Perceiver or of BLIP-2 are `parameter: {shape: [32, d], batch: image}`
    and cross-attention over them; the temperature of CLIP is `parameter: {shape: [], init: 2.6592}` and `exp`.
    """

    headline = "shape"
    family = "embedding"
    title = "Parameter"
    example = """
    dims: {queries: 32, d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - parameter: {shape: [queries, d_model], batch: x}
      - attention: {heads: 8, kv: x}
    """
    begins = True
    reads = ("from", "batch")
    size: tuple[Positive, ...] = needed(alias="shape", description="The lengths of its axes; `[]` is a single number.")
    batch: Name | None = Field(
        None, description="A value (an input, for one) whose first axis is the batch: the tensor is there once a row."
    )
    init: Literal["normal", "zeros", "ones"] | Real = Field(
        "normal", description="How it starts: from a normal distribution as matrices do, or all of it at one number."
    )
    decays: Truth = Field(False, description="Whether weight decay shrinks it.")

    def shape(self, io: Ports) -> Tensor:
        if self.source is not None:
            io.fail("D107", "`parameter` reads nothing", "from", help="its batch is given by `batch`")
        axes = tuple(Axis(size) for size in self.size)
        if self.batch is None:
            return Tensor(axes)
        first = io.value("batch").axes[0]
        return Tensor((Axis(first.size, first.name, origin=first.origin), *axes))

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight(self.size, self.init, decays=self.decays)}

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> Call:
        return Call("Learned", tuple(self.size))

    def write(self, w: Writer, step: Step) -> None:
        held = w.layer(self.call(step))
        if self.batch is None:
            w.let(f"{held}()")
            return
        rest = "".join(", -1" for _ in self.size)
        w.let(f"{held}().expand({w.value('batch')}.size(0){rest})")

    def facts(self, step: Step) -> str:
        return "learned"
