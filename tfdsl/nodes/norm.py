"""norm: each position scaled to one size (Ba et al., arXiv:1607.06450; Zhang and Sennrich, arXiv:1910.07467)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from tfdsl.look import Beside, Box, Element, number
from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import PositiveReal, Truth
from tfdsl.shapes import Tensor


class Norm(Node):
    """Scales each position's features to one size: [..., D] -> [..., D]."""

    default_type = "layer"
    keeps = True
    family = "norm"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: layer}
    """

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

    def inside(self, step: Step) -> tuple[Element, ...]:
        shift = (_learned("bias", "Bias", "+", step),) if self.bias else ()
        return (
            Box("centre", "norm", "Centre", "minus the mean"),
            Box("size", "norm", "Divide", f"by √(variance + {self.eps:g})"),
            _learned("weight", "Weight", "×", step),
            *shift,
        )


class RMSNorm(Norm, type="rms"):
    """Divides a position's features by their root mean square, then scales them."""

    title = "RMSNorm"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: rms}
    """
    eps: PositiveReal = Field(1e-6, description="Added to the mean square.")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight((step.width,), "ones", decays=False)}

    def work(self, step: Step) -> Work:
        return Work(kept=step.x.count + step.x.positions, needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("nn.RMSNorm", (step.width,), {"eps": self.eps})

    def inside(self, step: Step) -> tuple[Element, ...]:
        divided = Box("size", "norm", "Divide", f"by √(mean square + {self.eps:g})")
        return divided, _learned("weight", "Weight", "×", step)


def _learned(name: str, title: str, symbol: str, step: Step) -> Beside:
    """Return a learned vector that meets the trunk, in a figure."""
    return Beside(f"{name}/join", Box(name, "norm", title, number(step.width)), symbol, shape=step.output.label)
