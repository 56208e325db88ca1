"""What `ffn` and `moe` have in common: hidden units between two matrices, and what becomes of them there."""

# pyright: reportUnknownVariableType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from tfdsl.activations import GATED_MEANING, GATES, MEANING, TITLES, Activation, is_gated, kept
from tfdsl.node import Ports
from tfdsl.parts import Part, Positive, PositiveReal, Truth, needed, not_a_truth

ALPHA, LIMIT = 1.702, 7.0  # of gpt-oss


class Biases(Part):
    """Which of the two matrices have a vector added."""

    holds = True

    up: Truth = Field(False, description="The widening one, and that of the gate.")
    down: Truth = Field(False, description="The narrowing one.")

    @model_validator(mode="before")
    @classmethod
    def _both(cls, data: Any) -> Any:
        if isinstance(data, bool):
            return {"up": data, "down": data}
        if not isinstance(data, dict | Biases):
            raise not_a_truth(data, expected="`true`, `false`, or a mapping of `up` and `down`")
        return data

    def written(self) -> Any:
        return self.up if self.up == self.down else self.given()


class Hidden(Part):
    """Widens to `hidden` units, applies a function to them, narrows again."""

    hidden: Positive = needed(description="The number of units between the two matrices.")
    activation: Activation = Field(
        "gelu",
        description=f"The non-linearity. Of one value: {MEANING}. Gated, with a second widening matrix whose units, "
        f"the gate, are put through a function and multiply those of the other: {GATED_MEANING}.",
    )
    gated: Truth | None = Field(
        None,
        description="Gate with the activation, whichever it is: `activation: mish, gated: true` is mish(gate)·h. If "
        "left out, those are gated whose names say so (`swiglu` is `silu` with `gated: true`).",
    )
    limit: PositiveReal | None = Field(
        None,
        description="Of a gated activation: hold the gate below this number, and what it multiplies within ± it, "
        "before anything else is done to them (gpt-oss, DeepSeek-V4). `clamped_swiglu` has 7 if it is left out.",
    )
    alpha: PositiveReal | None = Field(None, description="Of `clamped_swiglu`: its alpha; 1.702 if left out.")
    bias: Biases = Field(
        Biases(up=False, down=False),
        description="Whether the matrices have a vector added: `true`, or `{up: true}` or `{down: true}`.",
    )

    @property
    def is_gated(self) -> bool:
        """Return whether there is a second widening matrix."""
        return is_gated(self.activation) if self.gated is None else self.gated

    @property
    def units(self) -> int:
        """Return the units that the first matrix makes: the gate's and the others', in one."""
        return self.hidden * (2 if self.is_gated else 1)

    @property
    def function(self) -> str:
        """Return the function of the hidden units, or of their gate."""
        return GATES.get(self.activation, self.activation)

    @property
    def bound(self) -> float | None:
        """Return the limit of the gate, or None."""
        return LIMIT if self.limit is None and self.activation == "clamped_swiglu" else self.limit

    def kept(self, dropout: bool) -> int:
        """Return how many tensors as large as the hidden units are kept between the two matrices."""
        return kept(self.function, self.is_gated, dropout, self.bound is not None)

    def check(self, io: Ports) -> None:
        """Report fields that the activation would not honour."""
        if self.gated is False and is_gated(self.activation):
            help = f"take `activation: {self.function}`" if self.function != self.activation else ""
            io.fail("T253", f"`{self.activation}` is gated, and `gated` is false", "gated", help=help)
        if self.limit is not None and not self.is_gated:
            io.fail("T254", f"`limit` holds back a gate, and `{self.activation}` has none", "limit")
        if self.alpha is not None and self.activation != "clamped_swiglu":
            io.fail("T254", f"`{self.activation}` has no alpha", "alpha", help="only `clamped_swiglu` has one")

    def options(self) -> dict[str, Any]:
        """Return what the layer is told of the hidden units."""
        alpha = {"alpha": self.alpha or ALPHA} if self.activation == "clamped_swiglu" else {}
        limit = {"limit": self.bound} if self.bound is not None else {}
        return {"activation": self.function, "gated": self.is_gated, **alpha, **limit}

    def said(self, width: int) -> str:
        """Return the muted line of a figure: `64 → 256 → 64 · SwiGLU`."""
        gate = " gate" if self.is_gated and not is_gated(self.activation) else ""
        return f"{width} → {self.hidden} → {width} · {TITLES[self.activation]}{gate}"
