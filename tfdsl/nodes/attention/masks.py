"""Which positions a query may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tfdsl.node import Call, Ports
from tfdsl.parts import Choice, Positive, Truth, needed
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


class Mask(Choice):
    """Which positions a query may see. Padding is hidden without being asked for."""

    word: ClassVar[str]  # how a figure says it
    title: ClassVar[str] = "Self-attention"  # how a figure calls attention that has it
    built_in: ClassVar[bool] = False  # whether torch's own attention knows it without a table

    @property
    def looks_ahead(self) -> bool:
        """Return whether a query may see later positions."""
        return False

    @property
    def reach(self) -> int | None:
        """Return how many positions a query sees on a side, its own among them; None where there is no limit."""
        return None

    def table(self) -> Call | None:
        """Return the function of `tfdsl.layers.masks` that makes the boolean (T, S) table; None: nothing is hidden.

        It is called with the value before, then (unless the mask looks ahead) with the number of earlier positions that
        a cache holds, then with the call's own arguments.
        """
        return None

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        """Report what cannot be: a mask compares places, which must be of one axis."""
        if attention.kv is not None and memory.axes[-2].size != x.axes[-2].size:
            io.fail(
                "T214",
                f"a {self.word} mask compares places, and queries stand on `{x.axes[-2]}`, keys on `{memory.axes[-2]}`",
                "mask",
                help="cross-attention sees all of the other stream: `mask: full`",
            )


class Full(Mask, type="full"):
    """Every position."""

    word = "bidirectional"

    @property
    def looks_ahead(self) -> bool:
        return True

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        """Report nothing: what hides nothing fits everywhere."""


class Causal(Mask, type="causal"):
    """The position itself and those before it."""

    word = "causal"
    title = "Causal self-attention"
    built_in = True

    def table(self) -> Call:
        return Call("causal_table")


class Sliding(Mask, type="sliding"):
    """The position itself and the `window - 1` before it; as many after it if it is not causal (arXiv:2004.05150)."""

    word = "sliding"
    title = "Sliding self-attention"
    window: Positive = needed(description="How many positions a query sees on a side, its own among them.")
    causal: Truth = Field(True, description="Whether later positions are hidden.")

    @property
    def looks_ahead(self) -> bool:
        return not self.causal

    @property
    def reach(self) -> int | None:
        return self.window

    def table(self) -> Call:
        return (
            Call("causal_table", (), {"window": self.window}) if self.causal else Call("window_table", (self.window,))
        )
