"""Positions that add a number to each score: a bias for each head and distance, learned or fixed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tfdsl.node import Call, Ports, Shared, Size, Weight, Work
from tfdsl.nodes.attention.places import Place, Relative
from tfdsl.parts import Name, Positive, PositiveReal, Truth, needed

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention

SHARE = "All attention that names the same table has one; each its own if left out."


class Learned(Relative):
    """A learned table of biases, one attention's own or that of all attention that gives it the same name."""

    word = "relative"
    adds = True
    share: Name | None = Field(None, description=SHARE)

    @abstractmethod
    def bias(self, place: Place) -> Call:
        """Return the layer that makes the biases of all pairs."""

    @abstractmethod
    def table(self, place: Place) -> Mapping[str, Weight]:
        """Return the parameters of that layer."""

    def held(self, place: Place) -> Size:
        """Return what the backward pass needs of that layer: by default the row of each pair, an id."""
        return 2 * place.queries.size * place.keys.size  # an id counts as two

    def shares(self, place: Place) -> tuple[Shared, ...]:
        if self.share is None:
            return ()
        work = Work(kept=self.held(place))
        return (Shared("bias", self.share, self.bias(place), place.here, place.there, self.table(place), work),)

    def module(self, place: Place) -> Call | None:
        return Call("OwnScores", (), {"table": self.bias(place)}) if self.share is None else None

    def weights(self, place: Place) -> Mapping[str, Weight]:
        if self.share is not None:
            return {}
        return {f"relative.table.{name}": weight for name, weight in self.table(place).items()}

    def work(self, place: Place, batch: Size) -> Work:
        return Work(kept=self.held(place)) if self.share is None else Work()


class T5Buckets(Learned, type="t5"):
    """A learned number for each head and bucket of distances is added to the scores (arXiv:1910.10683, section 2.1).

    With d = key − query, each side of the query has m buckets: all of them, and the first for later keys, where the
    mask hides these; else half, later keys the second half. A distance |d| below m/2 has bucket |d| of its side, a
    greater one m/2 + ⌊ln(|d| / (m/2)) / ln(max_distance / (m/2)) · m/2⌋, and at most m − 1. As in T5 (one table a
    stack: `share: encoder`, `share: decoder`; `scale: 1`), UMT5 (one a layer: no `share`), MPNet (one).
    """

    buckets: Positive = Field(32, description="How many distances are told apart.")
    max_distance: Positive = Field(128, description="Distances from here on share one bucket.")
    share: Name | None = Field(None, description=SHARE)

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        super().check(io, attention, heads, dim)
        sides = 2 if attention.mask.looks_ahead else 1
        exact = self.buckets // sides // 2
        if not exact or self.max_distance <= exact:
            io.fail(
                "T245",
                f"{self.buckets} buckets up to a distance of {self.max_distance} leave {exact} for single distances "
                "and none for farther ones",
                "position",
                help=f"give at least {2 * sides} `buckets`, and a `max_distance` above {max(exact, 1)}",
            )

    def bias(self, place: Place) -> Call:
        named = {"buckets": self.buckets, "max_distance": self.max_distance, "causal": place.causal}
        return Call("T5Bias", (place.heads,), named)

    def table(self, place: Place) -> Mapping[str, Weight]:
        return {"weight": Weight((self.buckets, place.heads), decays=False)}


class Alibi(Relative, type="alibi"):
    """−slope · |query − key| is added to the scores, and no other positions are needed (arXiv:2108.12409).

    Head h of H (from 1) has the slope 2^(−steepest · h / H). Where H is no power of two, the slopes are those of the
    next power of two: every second first, beginning with the second, then those between. As in BLOOM, MPT
    (`alibi_bias_max` is `steepest`), Falcon-RW (`scaled: true`), Baichuan 13B.
    """

    word = "ALiBi"
    adds = True
    learns = False
    steepest: PositiveReal = Field(8.0, description="The last head has the slope 2^−steepest.")
    scaled: Truth = Field(
        False, description="Whether the bias is multiplied by the attention's `scale`, as products are (Falcon)."
    )

    def shares(self, place: Place) -> tuple[Shared, ...]:
        named = {"steepest": self.steepest, "scale": place.scale if self.scaled else None}
        call = Call("Alibi", (place.heads,), named)
        work = Work(kept=place.rows * place.heads * place.queries.size * place.keys.size)
        return (Shared("bias", "alibi", call, place.here, place.there, work=work),)


class Kerple(Learned, type="kerple"):
    """−strength · log(1 + growth · |query − key|) is added to the scores (arXiv:2205.09921).

    Two learned numbers for each head, held above 0.01; with `form: power` −strength · |query − key|^growth, growth held
    to at most 2.
    """

    form: Literal["log", "power"] = Field("log", description="The form of the penalty.")
    share: Name | None = Field(None, description=SHARE)

    def bias(self, place: Place) -> Call:
        return Call("Kerple", (place.heads,), {"form": self.form})

    def table(self, place: Place) -> Mapping[str, Weight]:
        return dict.fromkeys(("strength", "growth"), Weight((place.heads,), "ones", decays=False))

    def held(self, place: Place) -> Size:
        pairs = place.queries.size * place.keys.size
        return pairs * ((2 if self.form == "log" else 1) * place.heads + 1)


class Grid(Learned, type="grid"):
    """A learned number for each head and way from key to query on a grid is added to the scores (Swin, BEiT).

    Positions are the squares of an image, row by row. With h × w squares the table has (2h − 1)(2w − 1) rows: row
    (y + h − 1)(2w − 1) + x + w − 1 is for a query that stands y rows below and x columns right of its key. Where there
    is one position more, the first is a class token, and three more rows are for it as query, as key, and as both
    (arXiv:2103.14030, arXiv:2106.08254; BEiT, data2vec vision: `share` or a table a layer).
    """

    axes: tuple[Positive, Positive] = needed(description="The rows and columns of squares, [h, w].")
    share: Name | None = Field(None, description=SHARE)

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        super().check(io, attention, heads, dim)
        squares, size = self.axes[0] * self.axes[1], io.x.axes[-2].size
        if size not in (squares, squares + 1):
            io.fail(
                "T243",
                f"a grid of {self.axes[0]} × {self.axes[1]} has {squares} squares, and there are {size} positions",
                "position",
                help="one position for each square, and perhaps one before them: a class token",
            )

    def bias(self, place: Place) -> Call:
        first = place.queries.size == self.axes[0] * self.axes[1] + 1
        return Call("GridBias", (place.heads, *self.axes), {"first": True} if first else {})

    def table(self, place: Place) -> Mapping[str, Weight]:
        height, width = self.axes
        rows = (2 * height - 1) * (2 * width - 1) + (3 if place.queries.size == height * width + 1 else 0)
        return {"weight": Weight((rows, place.heads), decays=False)}
