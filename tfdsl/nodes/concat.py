"""concat: several pipes over the same value, side by side."""

from __future__ import annotations

from tfdsl.joins import Join
from tfdsl.node import Node, Ports, Step, Writer
from tfdsl.shapes import Axis, Tensor


class Concat(Join, Node):
    """Puts the features that its pipes give side by side: [..., A] and [..., B] -> [..., A + B]."""

    title = "Concatenation"
    symbol = "concat"
    example = """
    dims: {d_model: 512, width: 64}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: rms}
      - concat: [[linear: width], [norm, linear: 2 * width]]
    """

    def shape(self, io: Ports) -> Tensor:
        first, *others = self.ends(io)
        width = first.axes[-1].size
        for index, other in enumerate(others, 1):
            if other.sizes[:-1] != first.sizes[:-1] or other.dtype != first.dtype:
                io.fail(
                    "T204",
                    f"`{io.name}` joins {first} and {other}, which differ before the last axis",
                    f"pipes.{index}",
                    f"this pipe ends at {other}",
                )
            first = first.last(other.axes[-1]).joined(other).last(first.axes[-1])
            width = width + other.axes[-1].size
        return first.last(Axis(width))

    def write(self, w: Writer, step: Step) -> None:
        w.let(f"torch.cat(({', '.join(w.run(flow) for flow in step.flows)}), dim=-1)")
