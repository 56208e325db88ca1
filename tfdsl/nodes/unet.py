"""unet: copies of one block, then as many of another, each with what its counterpart gave (arXiv:1505.04597)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from tfdsl.identifiers import attribute
from tfdsl.node import Node, Pipe, Ports, Step, Work, Writer
from tfdsl.parts import Name, Number, needed
from tfdsl.shapes import Axis, Tensor


class Unet(Node):
    """Runs `times` copies of the block `down`, then `middle`, then `times` copies of the block `up`.

    With x_i what the i-th copy of `down` gives, copy j of `up` takes the value before it joined with x_{n-1-j}: the
    first takes what the last gave, the last what the first gave. `join: add` adds the two; `join: concat` puts x_i
    behind the value, so that `up` takes twice the features, and begins with `linear: d_model`, as in U-ViT
    (arXiv:2209.12152). Both blocks end at [B, T, D].
    """

    keeps = True
    title = "U-net"
    form = "arch"
    repeats = True
    example = """
    dims: {d_model: 512, times: 3}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    blocks:
      layer:
        - residual: [norm, ffn: 4 * d_model]
    model:
      - norm: {from: x, type: rms}
      - unet: {down: layer, up: layer, times: times}
    """
    down: Name = needed(description="The name of the block that the first copies run.")
    up: Name = needed(description="The name of the block that the last copies run; it may be the same.")
    times: Annotated[int, Number(integer=True, minimum=1, maximum=5_000)] = needed(
        description="How many copies each way."
    )
    join: Literal["add", "concat"] = Field("add", description="How a value from the way down joins the way up.")
    middle: Pipe | None = Field(None, description="A pipe between the two, if any.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        value = self._way(io, self.down, x, 0)
        if self.middle is not None:
            value = io.known(io.flow("middle", value).end)
            if value.sizes != x.sizes:
                io.fail("T259", f"`{io.name}` comes down at {x}, and its middle ends at {value}", "middle")
        joined = value
        if self.join == "concat":
            joined = replace(value, axes=(*value.axes[:-1], Axis(2 * value.width)))
        return self._way(io, self.up, joined, self.times, value)

    def _way(self, io: Ports, block: str, start: Tensor, first: int, end: Tensor | None = None) -> Tensor:
        """Check the copies of one way, and return what each gives."""
        instance = io.instance(block, {}, start, first)
        io.again(instance, self.times - 1)
        wanted, found = end or start, io.known(instance.flow.end)
        if found.sizes != wanted.sizes or found.dtype != wanted.dtype:
            io.fail(
                "T259",
                f"block `{block}` takes {start} and gives {found}",
                "up" if end is not None else "down",
                help=f"it must end at {wanted}",
            )
        return found

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None

    def facts(self, step: Step) -> str:
        return f"{self.times} skips, {'added' if self.join == 'add' else 'side by side'}"

    def write(self, w: Writer, step: Step) -> None:
        skips = f"{attribute(step.name)}_skips"
        w.put(f"{skips} = []")
        w.some(0, self.times, after=f"{skips}.append({{x}})")
        for flow in step.flows:
            w.through(flow)
        joined = f"{{x}} + {skips}.pop()" if self.join == "add" else f"torch.cat(({{x}}, {skips}.pop()), dim=-1)"
        w.some(self.times, self.times, takes=joined)
