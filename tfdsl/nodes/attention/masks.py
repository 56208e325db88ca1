"""Which positions a query may see."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tfdsl.parts import Choice, Positive, Truth, needed


class Mask(Choice):
    """Which positions a query may see. Padding is hidden without being asked for."""

    word: ClassVar[str]  # how a figure says it

    @property
    def looks_ahead(self) -> bool:
        """Return whether a query may see later positions."""
        return False

    @property
    def reach(self) -> int | None:
        """Return how many positions a query sees on a side, its own among them; None where there is no limit."""
        return None


class Full(Mask, type="full"):
    """Every position."""

    word = "bidirectional"

    @property
    def looks_ahead(self) -> bool:
        return True


class Causal(Mask, type="causal"):
    """The position itself and those before it."""

    word = "causal"


class Sliding(Mask, type="sliding"):
    """The position itself and the `window - 1` before it; as many after it if it is not causal (arXiv:2004.05150)."""

    word = "sliding"
    window: Positive = needed(description="How many positions a query sees on a side, its own among them.")
    causal: Truth = Field(True, description="Whether later positions are hidden.")

    @property
    def looks_ahead(self) -> bool:
        return not self.causal

    @property
    def reach(self) -> int | None:
        return self.window
