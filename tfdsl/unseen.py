"""Which scores a mask that is written by hand hides: what `softmax` and `mask` have in common."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tfdsl.node import Ports
from tfdsl.parts import Choice, Positive, Truth, needed
from tfdsl.shapes import Tensor


class Hiding(Choice):
    """Which of the scores [..., T, S] are hidden. Padding is, without being asked for."""

    hides: ClassVar[bool] = True

    @property
    def said(self) -> str:
        """Return what a figure says of it."""
        return f" · {self.type_name}"

    def table(self, x: str) -> str:
        """Return the boolean table of what is hidden of the scores `x`; nothing where that is none."""
        return ""

    def check(self, io: Ports, x: Tensor, axis: int) -> None:
        """Report where the scores are not of queries and keys, or the softmax does not go over the keys."""
        if self.hides and (len(x.axes) < 2 or axis != len(x.axes) - 1):
            io.fail("T202", f"a mask works on scores [..., T, S], over the last axis, and this is {x}", "mask")


class Nothing(Hiding, type="none"):
    """Nothing but padding."""

    hides = False

    @property
    def said(self) -> str:
        return ""


class Later(Hiding, type="causal"):
    """Keys that come after the query."""

    def table(self, x: str) -> str:
        return f"later({x})"


class Far(Hiding, type="sliding"):
    """Keys that are `window` or more positions away from the query; and those that come after it, if it is causal."""

    window: Positive = needed(description="How many positions a query sees on a side, its own among them.")
    causal: Truth = Field(True, description="Whether keys that come after the query are hidden.")

    @property
    def said(self) -> str:
        return f" · sliding {self.window}"

    def table(self, x: str) -> str:
        far = f"far({x}, {self.window})"
        return f"{far} | later({x})" if self.causal else far
