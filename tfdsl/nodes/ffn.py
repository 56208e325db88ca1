"""ffn: two matrices and a non-linearity between them, the same for every position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tfdsl.activations import TITLES, XIELU
from tfdsl.hidden import Hidden
from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import Choice, PositiveReal, Probability, Real
from tfdsl.shapes import Axis, Tensor

if TYPE_CHECKING:
    from tfdsl.look import Element


class HiddenNorm(Choice):
    """A norm of the hidden units."""

    layer: ClassVar[str]
    eps: PositiveReal

    def weights(self, units: int) -> Mapping[str, Weight]:
        """Return its parameters."""
        return {"norm.weight": Weight((units,), "ones", decays=False)}


class HiddenRMSNorm(HiddenNorm, type="rms"):
    """x / sqrt(mean(x²) + eps) · weight."""

    layer = "RMSNorm"
    eps: PositiveReal = Field(1e-6, description="Added to the mean square.")


class HiddenLayerNorm(HiddenNorm, type="layer"):
    """(x - mean(x)) / sqrt(var(x) + eps) · weight + bias."""

    layer = "nn.LayerNorm"
    eps: PositiveReal = Field(1e-5, description="Added to the variance.")

    def weights(self, units: int) -> Mapping[str, Weight]:
        return {**super().weights(units), "norm.bias": Weight((units,), "zeros", decays=False)}


class FeedForward(Hidden, Node):
    """Widens each position to `hidden` units, applies the activation and narrows it again (arXiv:1706.03762, eq. 2).

    y = down(activation(up(x))), each matrix with its bias where it has one. Gated (arXiv:2002.05202):
    y = down(activation(gate(x)) · up(x)); the rows of the gate stand before those of the other in the one matrix
    `up.weight` [2 · hidden, D].

    Between the two matrices, in this order: `gate_scale`, `limit`, the activation, the product, `norm`, `dropout`.
    """

    keeps = True
    headline = "hidden"
    family = "ffn"
    title = "Feed-forward"
    example = """
    dims: {d_model: 512, hidden: 2048}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - ffn: {from: x, hidden: hidden, activation: swiglu}
    """
    gate_scale: Real | None = Field(
        None, description="Multiply the gate by this number before its function, as Falcon-H1 does."
    )
    norm: HiddenNorm | None = Field(
        None,
        description="Norm the hidden units before the second matrix: `rms` (BitNet's sub-norm), `layer` (NormFormer), "
        "or `{type: rms, eps: 1e-5}`.",
    )
    dropout: Probability = Field(0.0, description="Dropout on the hidden units.")

    def shape(self, io: Ports) -> Tensor:
        io.width()
        self.check(io)
        if self.gate_scale is not None and not self.is_gated:
            io.fail("T254", f"`gate_scale` is of a gate, and `{self.activation}` has none", "gate_scale")
        return io.x

    def weights(self, step: Step) -> Mapping[str, Weight]:
        width = step.width
        weights = {"up.weight": Weight((self.units, width)), "down.weight": Weight((width, self.hidden), "output")}
        if self.bias.up:
            weights["up.bias"] = Weight((self.units,), "zeros", decays=False)
        if self.bias.down:
            weights["down.bias"] = Weight((width,), "zeros", decays=False)
        if self.activation == "xielu":
            weights |= {f"xielu.{name}": Weight((1,), first, decays=False) for name, first in XIELU.items()}
        return {**weights, **(self.norm.weights(self.hidden) if self.norm is not None else {})}

    def work(self, step: Step) -> Work:
        positions = step.x.positions
        entering, leaving = 2 * positions * step.width * self.units, 2 * positions * step.width * self.hidden
        hidden = positions * self.hidden * (self.kept(self.dropout > 0) + (self.gate_scale is not None))
        if self.norm is not None:
            hidden += positions * (self.hidden + (1 if self.norm.layer == "RMSNorm" else 2))
        return Work(flops=entering + leaving, entering=entering, kept=hidden, needs=("x",))

    def call(self, step: Step) -> Call:
        named = {**self.options(), "bias": self.bias.up, "down_bias": self.bias.down, "dropout": self.dropout}
        if self.gate_scale is not None:
            named["gate_scale"] = self.gate_scale
        if self.norm is not None:
            named["norm"] = Call(self.norm.layer, (self.hidden,), {"eps": self.norm.eps})
        return Call("FeedForward", (step.width, self.hidden), named)

    def facts(self, step: Step) -> str:
        return self.said(step.width)

    def inside(self, step: Step) -> tuple[Element, ...]:
        from tfdsl.look import Box, Fork, number  # for figures alone, as below

        wide = replace(step.x, axes=(*step.x.axes[:-1], Axis(self.hidden))).label
        width, shift = step.x.axes[-1].label, self.hidden if self.bias.up else 0
        facts, up = f"{width} → {self.hidden}", number(step.width * self.hidden + shift)
        if self.is_gated:
            ways = (
                (Box("gate", "ffn", "Gate", facts, up, wide), *self._function()),
                (Box("up", "ffn", "Up", facts, up, wide),),
            )
            widened: tuple[Element, ...] = (Fork("gated", ways, "×", wide),)
        else:
            widened = (Box("up", "ffn", "Up", facts, up, wide), *self._function())
        down = number(self.hidden * step.width + (step.width if self.bias.down else 0))
        last = Box("down", "ffn", "Down", f"{self.hidden} → {width}", down, step.output.label)
        return (*widened, *self._between(), last)

    def _function(self) -> tuple[Element, ...]:
        """Return what becomes of the hidden units, or of their gate."""
        from tfdsl.look import Box

        said = [f"× {self.gate_scale:g}"] if self.gate_scale is not None else []
        said += [f"at most {self.bound:g}"] if self.bound is not None else []
        return (Box("activation", "ffn", TITLES[self.function], " · ".join(said)),)

    def _between(self) -> tuple[Element, ...]:
        """Return what stands before the last matrix."""
        from tfdsl.look import Box

        norm = (Box("norm", "norm", "Norm", self.norm.type_name),) if self.norm is not None else ()
        return (*norm, *((Box("dropout", "mask", "Dropout", f"p = {self.dropout:g}"),) if self.dropout else ()))
