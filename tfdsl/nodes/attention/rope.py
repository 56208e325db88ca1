"""Rotary positions: queries and keys are turned, so that their product depends on their distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tfdsl import rotary
from tfdsl.node import Call, Ports, Shared, Size, Work
from tfdsl.nodes.attention.places import Place, Relative
from tfdsl.parts import Natural, Number, Positive, PositiveReal, Truth, needed
from tfdsl.rotary import Proportional, Scaling

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention

Fraction = Annotated[float, Number(above=0, maximum=1)]


class Rotary(Relative, type="rope"):
    """Queries and keys are turned by angles that grow with the position (RoFormer, arXiv:2104.09864).

    At position p, pair i of the R features that turn becomes (a cos φ − b sin φ, b cos φ + a sin φ), with
    φ = p · theta^(−2i/R). Each model may have several on different layers: a `position` of its own for local and global
    layers (Gemma 3), `none` on chosen ones (SmolLM3, Command A, Llama 4).
    """

    word = "rotary"
    turns = True
    theta: PositiveReal = Field(10000.0, description="The longest wavelength is 2π times this (`rope_theta`).")
    style: Literal["half", "interleaved"] = Field(
        "half",
        description="Which features pair: i with i + R/2 (`half`: Llama, Qwen, Gemma, GPT-NeoX, Phi), or 2i with "
        "2i + 1 (`interleaved`: the paper, GPT-J, Cohere, GLM-4 (not 4.5), ERNIE 4.5, Llama 4).",
    )
    fraction: Fraction | None = Field(
        None,
        description="The share of a head's features that turns, R = fraction · head_dim rounded down; the rest stays "
        "as it is (`partial_rotary_factor`, `rotary_pct`: GPT-NeoX 0.25, Phi-2 0.4, StableLM, GLM 0.5).",
    )
    dim: Positive | None = Field(
        None, description="The number R of a head's features that turns, in place of `fraction` (GPT-J's `rotary_dim`)."
    )
    end: Truth = Field(False, description="Whether the last R features of a head turn in place of the first.")
    reverse: Truth = Field(False, description="Whether all angles are negative (nanochat).")
    scaling: Scaling | None = Field(
        None, description="How angles are changed for sequences longer than the trained length (`rope_scaling`)."
    )

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        """Report heads whose features do not pair, and what `scaling` cannot be."""
        super().check(io, attention, heads, dim)
        if self.fraction is not None and self.dim is not None:
            io.fail("T242", "`fraction` and `dim` say the same thing in two ways", "position", help="give one of them")
        size = self.turned(dim)
        if size > dim:
            io.fail("T242", f"{size} features are to turn, and a head has {dim}", "position")
        if size % 2 or not size:
            what = "a head has" if size == dim else f"of the {dim} of a head"
            io.fail("T208", f"rotary positions turn features in pairs, and {what} {size}", "position")
        if isinstance(self.scaling, Proportional):
            if dim % 2:
                io.fail("T208", f"rotary positions turn features in pairs, and a head has {dim}", "position")
            if self.end:
                io.fail("T242", "`proportional` scaling pairs the head as a whole: there is no `end`", "position")
        elif self.end and size == dim:
            io.fail("T242", "all features of a head turn: there are no last ones", "position")
        if self.scaling is not None:
            self.scaling.check(io, size, self.theta, "position")

    def turned(self, dim: int) -> int:
        """Return how many of a head's features turn."""
        if self.dim is not None:
            return self.dim
        if self.fraction is None:
            return dim
        return 2 * int(dim * self.fraction / 2) if isinstance(self.scaling, Proportional) else int(dim * self.fraction)

    def size(self, dim: int) -> int:
        """Return how many of a head's features are paired: with `proportional` scaling all, though not all turn."""
        return dim if isinstance(self.scaling, Proportional) else self.turned(dim)

    def shares(self, place: Place) -> tuple[Shared, ...]:
        """Return the tables of angles."""
        size = self.size(place.dim)
        call = rotary.layer(size, self.theta, self.style, self.scaling, self.turned(place.dim), self.reverse)
        tables = Work(kept=2 * place.rows * place.queries.size * size)
        return (Shared("rope", "rope", call, place.here, place.here, work=tables),)

    def options(self, place: Place) -> Mapping[str, Any]:
        """Return which features turn, and which of them together."""
        size = self.size(place.dim)
        rotated = {"rotated": size} if size != place.dim else {}
        return {"style": self.style, **rotated, **({"end": True} if self.end else {})}

    def work(self, place: Place, batch: Size) -> Work:
        """Return what turning a part adds: put together again, features lie otherwise, and what attention gives too."""
        apart = self.size(place.dim) != place.dim
        return Work(kept=batch * place.queries.size * place.heads * place.dim if apart else 0)


class AxialRotary(Relative, type="axial_rope"):
    """Queries and keys of an image's squares are turned by their rows and columns.

    Positions are the squares of a grid of h × w, row by row, as `patch` makes them; those before the first (class and
    register tokens) do not turn. Of the K/2 pairs of a head the first half turns with the row y, the other with the
    column x (the other way round with `columns_first`), pair j of a half by y · rⱼ or x · rⱼ. `rates: split`: rⱼ =
    theta^(−4j/K) for both (Qwen2-VL's images). `dealt`: theta^(−4j/K) for rows and theta^(−(4j + 2)/K) for columns
    (Pixtral). `centred`: as `split`, y and x in place of numbers 2π(2(y + ½)/h − 1), 2π(2(x + ½)/w − 1) (DINOv3, theta
    100).
    """

    word = "rotary"
    turns = True
    axes: tuple[Positive, Positive] = needed(description="The rows and columns of squares, [h, w].")
    theta: PositiveReal = Field(10000.0, description="The longest wavelength is about 2π times this.")
    style: Literal["half", "interleaved"] = Field(
        "half", description="Whether feature i pairs with i + K/2, or 2i with 2i + 1."
    )
    rates: Literal["split", "dealt", "centred"] = Field("split", description="How fast pairs turn.")
    first: Natural = Field(0, description="The number of the first row and column (Llama 4's images: 1).")
    columns_first: Truth = Field(False, description="Whether the first half of the pairs turns with the column.")

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        """Report heads that do not divide, and a grid of another size."""
        super().check(io, attention, heads, dim)
        if dim % 4:
            io.fail("T208", f"rows and columns turn half of a head's pairs each: 4 does not divide {dim}", "position")
        squares, size = self.axes[0] * self.axes[1], io.x.axes[-2].size
        if not isinstance(size, int) or size < squares:
            io.fail(
                "T243",
                f"a grid of {self.axes[0]} × {self.axes[1]} has {squares} squares, and there are {size} positions",
                "position",
                help="one position for each square, and perhaps some before them",
            )

    def shares(self, place: Place) -> tuple[Shared, ...]:
        """Return the tables of angles."""
        named: dict[str, Any] = {"theta": self.theta, "style": self.style, "rates": self.rates}
        named |= {"first": self.first} if self.first else {}
        named |= {"columns_first": True} if self.columns_first else {}
        call = Call("AxialRotary", (place.dim, *self.axes), named)
        tables = Work(kept=2 * place.queries.size * place.dim)
        return (Shared("rope", "rope", call, place.here, place.here, work=tables),)

    def options(self, place: Place) -> Mapping[str, Any]:
        """Return which features turn together."""
        return {"style": self.style}
