"""Rotary positions beyond the length that a model was trained at: the scalings, and the layer that honours them."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from typing import Any

from pydantic import Field

from tfdsl.node import Call, Ports
from tfdsl.parts import Choice, Positive, PositiveReal, Truth, needed


class Scaling(Choice):
    """How the angles are changed for sequences longer than a model was trained at.

    Pair i of R rotated features turns by position · rᵢ, and without scaling rᵢ = theta^(−2i/R).
    """

    def options(self) -> Mapping[str, Any]:
        """Return the arguments by which the layer honours it."""
        return {}

    def check(self, io: Ports, size: int, theta: float, field: str) -> None:
        """Report what cannot be, at `field`."""


class Linear(Scaling, type="linear"):
    """rᵢ / factor: every angle is divided by one number (arXiv:2306.15595; the global layers of Gemma 3)."""

    factor: PositiveReal = needed(description="What angles are divided by.")

    def options(self) -> Mapping[str, Any]:
        return {"factor": self.factor}


class Dynamic(Scaling, type="dynamic"):
    """theta grows with the sequence once it is longer than `length` (NTK-aware scaling).

    With n positions in the sequence, those that a cache holds among them, theta is multiplied by
    (factor · max(n, length) / length − factor + 1)^(R / (R − 2)). Beyond `length` every angle, and so every feature,
    depends on n: a cache serves up to `length` positions, and the model refuses more.
    """

    factor: PositiveReal = needed(description="How fast theta grows with the sequence.")
    length: Positive = needed(description="The length that the model was trained at (`max_position_embeddings`).")

    def options(self) -> Mapping[str, Any]:
        return {"factor": self.factor, "length": self.length}

    def check(self, io: Ports, size: int, theta: float, field: str) -> None:
        if size == 2:
            io.fail("T241", "`dynamic` scaling divides by the rotated features less two, and 2 turn here", field)


class Yarn(Scaling, type="yarn"):
    """Fast pairs keep their angle, slow ones are divided by `factor`, with a ramp between (arXiv:2309.00071).

    rᵢ · (1 − s) + rᵢ / factor · s, with s = (i − a) / (b − a) held between 0 and 1, a = c(beta_fast), b = c(beta_slow)
    and c(β) = R · ln(length / (2πβ)) / (2 ln theta). a is rounded down and b up (`truncate`), and both are held between
    0 and R − 1; b = a counts as a + 0.001. Cosines and sines are multiplied by `attention_factor`; if that is left out,
    by m(mscale) / m(mscale_all_dim) where both are given, else by m(1), with m(x) = 0.1 · x · ln(factor) + 1, and m(x)
    = 1 for a factor up to 1. As in gpt-oss (`truncate: false`), Qwen with long contexts and DeepSeek, which multiplies
    the scores by m(mscale_all_dim)² besides: `latent_attention` does so by itself, `attention` where its `scale` says
    so.
    """

    factor: PositiveReal = needed(description="What the angles of slow pairs are divided by.")
    length: Positive = needed(
        description="The length that the model was first trained at (`original_max_position_embeddings`)."
    )
    beta_fast: PositiveReal = Field(32.0, description="Pairs that turn more often in `length` keep their angle.")
    beta_slow: PositiveReal = Field(1.0, description="Pairs that turn less often in `length` are divided by `factor`.")
    attention_factor: PositiveReal | None = Field(None, description="What cosines and sines are multiplied by.")
    mscale: PositiveReal | None = Field(None, description="Makes `attention_factor`, with `mscale_all_dim`.")
    mscale_all_dim: PositiveReal | None = Field(None, description="Makes `attention_factor`, with `mscale`.")
    truncate: Truth = Field(True, description="Whether the ends of the ramp are whole pairs.")

    def options(self) -> Mapping[str, Any]:
        bounds = {"low": self.beta_slow, "high": self.beta_fast, "truncate": self.truncate}
        return {"factor": self.factor, "length": self.length, **bounds, "strength": self.strength()}

    def strength(self) -> float | None:
        """Return what cosines and sines are multiplied by; None for 1."""
        found = self.attention_factor
        if found is None and self.mscale is not None and self.mscale_all_dim is not None:
            found = self._magnitude(self.mscale) / self._magnitude(self.mscale_all_dim)
        found = self._magnitude(1.0) if found is None else found
        return None if found == 1 else found

    def _magnitude(self, weight: float) -> float:
        return 0.1 * weight * log(self.factor) + 1 if self.factor > 1 else 1.0

    def check(self, io: Ports, size: int, theta: float, field: str) -> None:
        if theta == 1:
            io.fail("T241", "`yarn` scaling divides by the logarithm of theta, and theta is 1", field)
        if (self.mscale is None) != (self.mscale_all_dim is None) or (
            self.mscale is not None and self.attention_factor is not None
        ):
            io.fail(
                "T241",
                "`mscale` and `mscale_all_dim` count only together, and not beside an `attention_factor`",
                field,
                help="give both, or `attention_factor` alone, or none of the three",
            )


class Llama3(Scaling, type="llama3"):
    """Pairs that turn often in `length` keep their angle, the others are divided by `factor`, with a ramp (Llama 3.1).

    rᵢ · s + rᵢ / factor · (1 − s), with s = (length · rᵢ / 2π − low) / (high − low) held between 0 and 1.
    """

    factor: PositiveReal = needed(description="What the angles of slow pairs are divided by.")
    length: Positive = needed(
        description="The length that the model was first trained at (`original_max_position_embeddings`)."
    )
    low: PositiveReal = Field(1.0, description="Pairs that turn less often in `length` are slow (`low_freq_factor`).")
    high: PositiveReal = Field(4.0, description="Pairs that turn more often keep their angle (`high_freq_factor`).")

    def options(self) -> Mapping[str, Any]:
        return {"factor": self.factor, "length": self.length, "low": self.low, "high": self.high}

    def check(self, io: Ports, size: int, theta: float, field: str) -> None:
        if self.low >= self.high:
            io.fail(
                "T241",
                f"`llama3` scaling goes from `low` up to `high`, and {self.low:g} is not below {self.high:g}",
                field,
            )


class Long(Scaling, type="longrope"):
    """rᵢ / shortᵢ, or rᵢ / longᵢ once the sequence is longer than `length` (arXiv:2402.13753; Phi-3, Phi-4-mini).

    Cosines and sines are multiplied by `attention_factor`; if that is left out, by √(1 + ln(factor) / ln(length)), or 1
    for a factor up to 1. A sequence that grows past `length` changes the angles of all its positions: the model refuses
    a cache that was begun before, and serves one that began with more than `length` positions at once.
    """

    short: tuple[PositiveReal, ...] = needed(description="A divisor for each pair, in sequences up to `length`.")
    long: tuple[PositiveReal, ...] = needed(description="A divisor for each pair, in longer sequences.")
    length: Positive = needed(
        description="The length that the model was first trained at (`original_max_position_embeddings`)."
    )
    factor: PositiveReal | None = Field(
        None, description="The new length over the old (`max_position_embeddings / length`)."
    )
    attention_factor: PositiveReal | None = Field(None, description="What cosines and sines are multiplied by.")

    def options(self) -> Mapping[str, Any]:
        found = self.attention_factor
        if found is None and self.factor is not None and self.factor > 1:
            found = sqrt(1 + log(self.factor) / log(self.length))
        named = {"length": self.length, "short": self.short, "long": self.long}
        return {**named, "strength": None if found == 1 else found}

    def check(self, io: Ports, size: int, theta: float, field: str) -> None:
        for name, given in (("short", self.short), ("long", self.long)):
            if len(given) != size // 2:
                io.fail(
                    "T241",
                    f"`{name}` holds {len(given)} divisors, and {size} rotated features are {size // 2} pairs",
                    field,
                )
        if (self.factor is None) == (self.attention_factor is None) or self.length == 1:
            io.fail(
                "T241",
                "`longrope` scaling needs a `length` above 1, and either `factor` or `attention_factor`",
                field,
                help="`factor` is the new length over the old; cosines and sines are multiplied by what it makes",
            )


class Proportional(Scaling, type="proportional"):
    """rᵢ / factor for the first pairs of the whole head, 0 for the others (the global layers of Gemma 4).

    Unlike without it, the head is paired as a whole and R is all of it: `fraction` (or `dim`) says how many pairs turn.
    """

    factor: PositiveReal = Field(1.0, description="What angles are divided by.")

    def options(self) -> Mapping[str, Any]:
        return {"factor": self.factor}


def layer(
    size: int, theta: float, style: str, scaling: Scaling | None, turned: int | None = None, reverse: bool = False
) -> Call:
    """Return the layer that makes the tables of angles for `size` features, of which `turned` turn (all if None)."""
    named: dict[str, Any] = {"theta": theta, "style": style}
    if scaling is not None:
        named |= {"scaling": scaling.type_name, **scaling.options()}
        named |= {"turning": (turned or size) // 2} if isinstance(scaling, Proportional) else {}
    named |= {"reverse": True} if reverse else {}
    return Call("Rotary", (size,), named)
