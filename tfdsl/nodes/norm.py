"""norm: each position scaled to one size (Ba et al., arXiv:1607.06450; Zhang and Sennrich, arXiv:1910.07467)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import PositiveReal, Truth
from tfdsl.shapes import Tensor


class Norm(Node):
    """Scales each position's features to one size: [..., D] -> [..., D]."""

    default_type = "layer"
    keeps = True
    family = "norm"

    def shape(self, io: Ports) -> Tensor:
        io.width()
        return io.x


class LayerNorm(Norm, type="layer"):
    """Subtracts the mean of a position's features, divides by their standard deviation, then scales and shifts them."""

    title = "LayerNorm"
    eps: PositiveReal = Field(1e-5, description="Added to the variance.")
    bias: Truth = Field(True, description="Whether the result is shifted.")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        shape = (step.width,)
        shift = {"bias": Weight(shape, "zeros", decays=False)} if self.bias else {}
        return {"weight": Weight(shape, "ones", decays=False), **shift}

    def work(self, step: Step) -> Work:
        return Work(kept=2 * step.x.positions, needs=("x",))

    def call(self, step: Step) -> Call:
        named = {"eps": self.eps} if self.bias else {"eps": self.eps, "bias": False}
        return Call("nn.LayerNorm", (step.width,), named)


class RMSNorm(Norm, type="rms"):
    """Divides a position's features by their root mean square, then scales them."""

    title = "RMSNorm"
    eps: PositiveReal = Field(1e-6, description="Added to the mean square.")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight((step.width,), "ones", decays=False)}

    def work(self, step: Step) -> Work:
        return Work(kept=step.x.count + step.x.positions, needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("nn.RMSNorm", (step.width,), {"eps": self.eps})
