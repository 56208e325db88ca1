"""normalise: each vector made as long as 1."""

from __future__ import annotations

from pydantic import Field

from tfdsl.node import Node, Ports, Step, Work, Writer
from tfdsl.parts import PositiveReal
from tfdsl.shapes import Tensor


class Normalise(Node):
    """x / max(‖x‖₂, eps) over the last axis: [..., D] -> [..., D]. CLIP and SigLIP do so before they compare."""

    keeps = True
    headline = "eps"
    family = "norm"
    title = "L2 normalisation"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - normalise: {from: x, eps: 1e-12}
    """
    eps: PositiveReal = Field(1e-12, description="A vector is divided by no less than this.")

    def shape(self, io: Ports) -> Tensor:
        io.width()
        return io.x

    def work(self, step: Step) -> Work:
        return Work(kept=step.x.count + 2 * step.x.positions, needs=("x",))

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        eps = "" if self.eps == 1e-12 else f", eps={self.eps!r}"
        w.let(f"F.normalize({w.x}, dim=-1{eps})")
