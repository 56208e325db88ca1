"""hyper: several residual streams in place of one (arXiv:2409.19606)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import Field

from tfdsl.node import Call, Node, Pipe, Ports, Step, Weight, Work, Writer
from tfdsl.parts import Positive, PositiveReal, needed
from tfdsl.shapes import Axis, Tensor


class Hyper(Node):
    """Copies each position into `streams` streams, runs `body` over them, and makes one of them again.

    Within `body` a value is [B, T, streams, D]. Its nodes are `hyper_residual`, which read one value [B, T, D] from the
    streams and write to all of them, and `repeat` or `use` of blocks of such.

    `end: sum` adds the streams up (hyper-connections), `mean` takes their mean, and `head` weighs them: with
    u = flat(h) / sqrt(mean(flat(h)²) + norm_eps) over all n · D features of a position, x = Σ_i (sigmoid(scale · W u +
    b) + eps)_i · h_i (DeepSeek-V4).
    """

    keeps = True
    headline = "body"
    title = "Streams"
    form = "group"
    example = """
    dims: {d_model: 512, streams: 4}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: rms}
      - hyper: {streams: streams, body: [hyper_residual: [norm, ffn: 4 * d_model]]}
    """
    body: Pipe = needed(description="What runs over the streams: a pipe of `hyper_residual`, `repeat` and `use`.")
    streams: Positive = Field(4, description="How many streams.")
    end: Literal["sum", "mean", "head"] = Field("sum", description="How one value is made of the streams at the end.")
    eps: PositiveReal = Field(1e-6, description="Of `end: head`: added to each share.")
    norm_eps: PositiveReal = Field(1e-6, description="Of `end: head`: added to the mean square.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        if self.end != "head":
            for field in ("eps", "norm_eps"):
                if field in self.model_fields_set:
                    io.fail("T258", f"`{field}` is of `end: head`, and this is `end: {self.end}`", field)
        start = replace(x, axes=(*x.axes[:-1], Axis(self.streams, name="streams"), x.axes[-1]))
        end = io.known(io.flow("body", start).end)
        if end.sizes != start.sizes or end.dtype != start.dtype:
            io.fail("T258", f"`{io.name}` runs over {start}, and its body ends at {end}", "body")
        return replace(x, axes=(*end.axes[:-2], end.axes[-1]))

    def weights(self, step: Step) -> Mapping[str, Weight]:
        if self.end != "head":
            return {}
        return {
            "to_share.weight": Weight((self.streams, self.streams * step.width)),
            "to_share.bias": Weight((self.streams,), "zeros", decays=False),
            "scale": Weight((1,), 0.01, decays=False),
        }

    def work(self, step: Step) -> Work:
        if self.end != "head":
            return Work()
        wide = step.x.count * self.streams
        return Work(flops=2 * wide * self.streams, kept=2 * wide)

    def call(self, step: Step) -> Call | None:
        if self.end != "head":
            return None
        return Call("StreamHead", (step.width, self.streams), {"eps": self.eps, "norm_eps": self.norm_eps})

    def facts(self, step: Step) -> str:
        return f"{self.streams} streams, then their {self.end}"

    def write(self, w: Writer, step: Step) -> None:
        kept = ", ".join("-1" for _ in step.x.axes[:-1])
        end = w.run(step.flows[0], f"{w.x}.unsqueeze(-2).expand({kept}, {self.streams}, -1)")
        head = self.call(step)
        w.let(f"{w.layer(head)}({end})" if head is not None else f"{end}.{self.end}(dim=-2)")
