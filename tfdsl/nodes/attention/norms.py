"""Norms inside attention: on queries and keys, on values, on what the heads read."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from tfdsl.node import Call, Size, Weight
from tfdsl.parts import Choice, PositiveReal, Truth

Over = Literal["head", "each", "all"]
OVER = (
    "What is measured together, and what has a weight: `head`: the features of a head, one weight of that size for all "
    "heads (Qwen 3, Gemma 3, ViT-22B); `each`: the features of a head, and each head has a weight of its own (Command "
    "R+, StableLM 2); `all`: the features of all heads, one weight of that size (OLMo 2, OLMoE). If left out, `head` "
    "for `qk_norm` and `v_norm`, and `all` for `out_norm`."
)


class HeadNorm(Choice):
    """A norm inside attention. Queries, keys and values each have their own."""

    word: ClassVar[str]  # how a figure says it
    over: Over | None = Field(None, description=OVER)
    place: Literal["before", "after"] = Field(
        "before", description="Whether queries and keys are normed before or after rotary positions (Hunyuan: after)."
    )

    @property
    def affine(self) -> tuple[bool, bool]:
        """Return whether there is a weight, and whether there is a bias."""
        raise NotImplementedError

    @property
    def start(self) -> Literal["ones"] | float:
        """Return where the weight starts."""
        return "ones"

    def spans(self, usual: Over) -> Over:
        """Return what is measured together, where `usual` is what a field means that leaves it out."""
        return usual if self.over is None else self.over

    def size(self, heads: int, dim: int, usual: Over) -> int:
        """Return how many features the layer is given."""
        return dim if self.spans(usual) == "head" else heads * dim

    def groups(self, heads: int, usual: Over) -> dict[str, Any]:
        """Return the argument by which a layer over all features measures those of each head."""
        return {"groups": heads} if self.spans(usual) == "each" else {}

    def call(self, heads: int, dim: int, usual: Over) -> Call:
        """Return the layer, for this many heads of this many features."""
        raise NotImplementedError

    def weights(self, name: str, heads: int, dim: int, usual: Over) -> dict[str, Weight]:
        """Return its parameters, under `name`."""
        shape, (weight, bias) = (self.size(heads, dim, usual),), self.affine
        scale = {f"{name}.weight": Weight(shape, self.start, decays=False)} if weight else {}
        return {**scale, **({f"{name}.bias": Weight(shape, "zeros", decays=False)} if bias else {})}

    def kept(self, rows: Size, count: Size) -> Size:
        """Return what is kept of `count` features, which are measured in so many rows, besides what it is given."""
        raise NotImplementedError


class RMS(HeadNorm, type="rms"):
    """x / sqrt(mean(x²) + eps) · weight (arXiv:1910.07467)."""

    word = "RMSNorm"
    eps: PositiveReal = Field(1e-6, description="Added to the mean square, under the root.")
    weight: Truth = Field(True, description="Whether the result is scaled by a weight.")
    offset: Truth = Field(False, description="Scale by 1 + weight, where weight starts at 0 (Gemma 3, Qwen3-Next).")

    @property
    def affine(self) -> tuple[bool, bool]:
        return self.weight, False

    @property
    def start(self) -> Literal["ones"] | float:
        return 0.0 if self.offset else "ones"

    def call(self, heads: int, dim: int, usual: Over) -> Call:
        named = {"eps": self.eps, "weight": self.weight, "offset": self.offset, **self.groups(heads, usual)}
        return Call("RMSNorm", (self.size(heads, dim, usual),), named)

    def kept(self, rows: Size, count: Size) -> Size:
        return rows + (count if self.over == "each" and self.weight else 0)


class Layer(HeadNorm, type="layer"):
    """(x - mean(x)) / sqrt(var(x) + eps) · weight + bias (arXiv:1607.06450)."""

    word = "LayerNorm"
    eps: PositiveReal = Field(1e-5, description="Added to the variance, under the root.")
    weight: Truth = Field(True, description="Whether the result is scaled by a weight.")
    bias: Truth | None = Field(None, description="Whether it is shifted; if left out, it is where there is a weight.")

    @property
    def affine(self) -> tuple[bool, bool]:
        return self.weight, self.weight if self.bias is None else self.bias

    def call(self, heads: int, dim: int, usual: Over) -> Call:
        groups, (weight, bias) = self.groups(heads, usual), self.affine
        size = (self.size(heads, dim, usual),)
        if not groups and (weight, bias) != (False, True):
            named = {"elementwise_affine": False} if not weight else {} if bias else {"bias": False}
            return Call("nn.LayerNorm", size, {"eps": self.eps, **named})
        return Call("LayerNorm", size, {"eps": self.eps, "weight": weight, "bias": bias, **groups})

    def kept(self, rows: Size, count: Size) -> Size:
        return 2 * rows + (count if self.over == "each" and self.weight else 0)


class Unit(HeadNorm, type="l2"):
    """x / max(‖x‖, eps) · weight, where ‖x‖ is the root of the sum of squares (QKNorm, arXiv:2010.04245)."""

    word = "L2 norm"
    eps: PositiveReal = Field(1e-12, description="The least length that is divided by.")
    weight: Truth = Field(False, description="Whether the result is scaled by a weight.")

    @property
    def affine(self) -> tuple[bool, bool]:
        return self.weight, False

    def call(self, heads: int, dim: int, usual: Over) -> Call:
        named = {"eps": self.eps, "weight": self.weight}
        return Call("UnitNorm", (self.size(heads, dim, usual),), named)

    def kept(self, rows: Size, count: Size) -> Size:
        return 2 * rows + (count if self.weight else 0)
