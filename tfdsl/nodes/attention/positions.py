"""How attention knows where its queries and keys stand."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfdsl.parts import Choice, Name, Positive, PositiveReal


class Relative(Choice):
    """How attention knows where its queries and keys stand."""


class Nowhere(Relative, type="none"):
    """It does not; positions were added to the features, or nowhere."""


class Rotary(Relative, type="rope"):
    """Queries and keys are rotated by angles that grow with the position (arXiv:2104.09864)."""

    theta: PositiveReal = Field(10000.0, description="The longest wavelength is 2π times this.")
    style: Literal["half", "interleaved"] = Field(
        "half", description="Whether feature i turns with i + half the head, or with its neighbour."
    )


class T5Buckets(Relative, type="t5"):
    """A learned number for each head and bucket of distances is added to the scores (arXiv:1910.10683, section 2.1)."""

    buckets: Positive = Field(32, description="How many distances are told apart.")
    max_distance: Positive = Field(128, description="Distances from here on share one bucket.")
    share: Name | None = Field(None, description="All attention that names the same table has one; else each its own.")
