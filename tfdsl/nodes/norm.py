"""norm: each position scaled to one size (Ba et al., arXiv:1607.06450; Zhang and Sennrich, arXiv:1910.07467)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Step, Weight, Work
from tfdsl.parts import Positive, PositiveReal, Real, Truth
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.look import Beside, Element


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


class Standard(Norm):
    """A norm whose result is scaled and shifted feature by feature."""

    offset: Truth = Field(False, description="Scale by 1 + weight, where weight starts at 0.")
    groups: Positive | None = Field(
        None,
        description="Norm each of this many groups of neighbouring features by itself, as a norm for each head does "
        "(RetNet). The weight and bias span all features.",
    )

    @property
    @abstractmethod
    def affine(self) -> tuple[bool, bool]:
        """Return whether there is a weight, and whether there is a bias."""

    def shape(self, io: Ports) -> Tensor:
        width = io.width()
        if self.offset and not self.affine[0]:
            io.fail("T251", "`offset: true` scales by 1 + weight, and `weight: false` leaves no weight", "offset")
        if self.groups is not None and width % self.groups:
            io.fail("T252", f"{width} features cannot be parted into {self.groups} groups of one size", "groups")
        return io.x

    def weights(self, step: Step) -> Mapping[str, Weight]:
        weight, bias = self.affine
        scale = {"weight": Weight((step.width,), 0.0 if self.offset else "ones", decays=False)} if weight else {}
        shift = {"bias": Weight((step.width,), "zeros", decays=False)} if bias else {}
        return {**scale, **shift}

    def options(self) -> dict[str, Any]:
        """Return the layer's arguments beside its size and `eps`."""
        weight, bias = self.affine
        groups = {"groups": self.groups} if self.groups is not None else {}
        return {"weight": weight, "bias": bias, "offset": self.offset, **groups}

    def learned(self, step: Step) -> tuple[Element, ...]:
        """Return what scales and shifts, for a figure."""
        weight, bias = self.affine
        scaled = (_learned("weight", "1 + weight" if self.offset else "Weight", "×", step),) if weight else ()
        return (*scaled, *((_learned("bias", "Bias", "+", step),) if bias else ()))

    def sums(self, step: Step) -> int:
        """Return how many sums of 1 and a weight are kept."""
        return step.width if self.offset else 0

    def facts(self, step: Step) -> str:
        said = [f"{self.groups} groups"] if self.groups is not None else []
        said += ["1 + weight"] if self.offset else []
        said += ["no weight"] if not self.affine[0] else []
        return " · ".join(said)


class LayerNorm(Standard, type="layer"):
    """Subtracts the mean of a position's features, divides by their standard deviation, then scales and shifts them.

    y = (x - mean(x)) / sqrt(var(x) + eps) · weight + bias, with the variance over D (not D - 1). Of GPT-2, BERT, ViT,
    GPT-NeoX, Falcon, BLOOM, OPT, Whisper (all with weight and bias); with `bias: false` of Cohere, MPT, ModernBERT and
    DBRX; with `weight: false` of OLMo 1; with `offset: true` of Nemotron (LayerNorm1P).
    """

    title = "LayerNorm"
    eps: PositiveReal = Field(1e-5, description="Added to the variance, under the root.")
    weight: Truth = Field(True, description="Whether each feature is scaled by a weight of its own.")
    bias: Truth | None = Field(
        None, description="Whether the result is shifted; if left out, it is where there is a weight."
    )

    @property
    def affine(self) -> tuple[bool, bool]:
        return self.weight, self.weight if self.bias is None else self.bias

    @property
    def plain(self) -> bool:
        """Return whether torch has this norm."""
        return not self.offset and self.groups is None and self.affine != (False, True)

    def work(self, step: Step) -> Work:
        scaled = step.x.count if self.groups is not None and self.weight else 0
        rows = step.x.positions * (self.groups or 1)
        return Work(kept=2 * rows + scaled + self.sums(step), needs=("x",))

    def call(self, step: Step) -> Call:
        if not self.plain:
            return Call("LayerNorm", (step.width,), {"eps": self.eps, **self.options()})
        weight, bias = self.affine
        named = {"elementwise_affine": False} if not weight else {} if bias else {"bias": False}
        return Call("nn.LayerNorm", (step.width,), {"eps": self.eps, **named})

    def inside(self, step: Step) -> tuple[Element, ...]:
        from tfdsl.look import Box  # for figures alone, as below

        divided = Box("size", "norm", "Divide", f"by √(variance + {self.eps:g})")
        return Box("centre", "norm", "Centre", "minus the mean"), divided, *self.learned(step)


class RMSNorm(Standard, type="rms"):
    """Divides a position's features by their root mean square, then scales them.

    y = x / sqrt(mean(x²) + eps) · weight. Of T5, Llama, Mistral, Qwen, DeepSeek, OLMo 2, gpt-oss and most since; with
    `offset: true` of Gemma and Qwen 3-Next, whose stored weight is w where the factor is 1 + w; with `weight: false` of
    nanochat and of the norm on queries and keys in Llama 4.
    """

    title = "RMSNorm"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: rms}
    """
    eps: PositiveReal = Field(1e-6, description="Added to the mean square, under the root.")
    weight: Truth = Field(True, description="Whether each feature is scaled by a weight of its own.")
    bias: Truth = Field(False, description="Whether the result is shifted.")

    @property
    def affine(self) -> tuple[bool, bool]:
        return self.weight, self.bias

    def work(self, step: Step) -> Work:
        apart = step.x.count if self.groups is not None and self.weight else 0
        return Work(kept=step.x.positions * (self.groups or 1) + apart + self.sums(step), needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("RMSNorm", (step.width,), {"eps": self.eps, **self.options()})

    def inside(self, step: Step) -> tuple[Element, ...]:
        from tfdsl.look import Box

        return Box("size", "norm", "Divide", f"by √(mean square + {self.eps:g})"), *self.learned(step)


class ScaleNorm(Norm, type="scale"):
    """Divides a position's features by their length, then scales all of them by one number (arXiv:1910.05895).

    y = weight · x / max(‖x‖, eps), where ‖x‖ is the square root of the sum (not the mean) of squares. The one weight
    starts at sqrt(D).
    """

    title = "ScaleNorm"
    eps: PositiveReal = Field(1e-5, description="The least length that is divided by.")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight((1,), step.width**0.5, decays=False)}

    def work(self, step: Step) -> Work:
        return Work(kept=step.x.count + 2 * step.x.positions, needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("UnitNorm", (1,), {"eps": self.eps, "weight": True})

    def inside(self, step: Step) -> tuple[Element, ...]:
        from tfdsl.look import Beside, Box

        scaled = Beside("weight/join", Box("weight", "norm", "Weight", "1"), "×", shape=step.output.label)
        return Box("size", "norm", "Divide", "by √(sum of squares)"), scaled


class UnitNorm(Norm, type="l2"):
    """Divides a position's features by their length: y = x / max(‖x‖, eps) · weight, the length a sum of squares."""

    title = "L2 norm"
    eps: PositiveReal = Field(1e-12, description="The least length that is divided by.")
    weight: Truth = Field(False, description="Whether each feature is scaled by a weight of its own.")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight((step.width,), "ones", decays=False)} if self.weight else {}

    def work(self, step: Step) -> Work:
        return Work(kept=2 * step.x.positions + (step.x.count if self.weight else 0), needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("UnitNorm", (step.width,), {"eps": self.eps, "weight": self.weight})


class Affine(Norm, type="affine"):
    """Scales and shifts each feature, and measures nothing: y = x · weight + bias (MobileBERT's NoNorm, ResMLP)."""

    title = "Affine"
    bias: Truth = Field(True, description="Whether the result is shifted.")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        shift = {"bias": Weight((step.width,), "zeros", decays=False)} if self.bias else {}
        return {"weight": Weight((step.width,), "ones", decays=False), **shift}

    def work(self, step: Step) -> Work:
        return Work(needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("Affine", (step.width,), {"bias": self.bias})


class DynamicTanh(Norm, type="dyt"):
    """Squashes each feature where a norm would stand (arXiv:2503.10622).

    y = tanh(alpha · x) · weight + bias, where alpha is one learned number. Nothing is measured over a position.
    """

    title = "Dynamic tanh"
    alpha: Real = Field(0.5, description="Where alpha starts.")
    weight: Truth = Field(True, description="Whether each feature is scaled by a weight of its own.")
    bias: Truth = Field(True, description="Whether the result is shifted.")

    def weights(self, step: Step) -> Mapping[str, Weight]:
        scale = {"weight": Weight((step.width,), "ones", decays=False)} if self.weight else {}
        shift = {"bias": Weight((step.width,), "zeros", decays=False)} if self.bias else {}
        return {"alpha": Weight((1,), float(self.alpha), decays=False), **scale, **shift}

    def work(self, step: Step) -> Work:
        return Work(kept=step.x.count, needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("DynamicTanh", (step.width,), {"alpha": self.alpha, "weight": self.weight, "bias": self.bias})


def _learned(name: str, title: str, symbol: str, step: Step) -> Beside:
    """Return a learned vector that meets the trunk, in a figure."""
    from tfdsl.look import Beside, Box, number

    return Beside(f"{name}/join", Box(name, "norm", title, number(step.width)), symbol, shape=step.output.label)
