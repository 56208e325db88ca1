"""How attention knows where its queries and keys stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tfdsl.node import Call, Ports, Shared, Size, Weight, Work
from tfdsl.parts import Choice, Name, Positive, PositiveReal
from tfdsl.shapes import Axis

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


@dataclass(frozen=True, slots=True)
class Place:
    """The attention that positions enter: its heads, the features of one, its key heads, its two axes.

    The axes know their size and their padding alone, so that equal ones are equal.
    """

    heads: int
    dim: int
    groups: int
    queries: Axis
    keys: Axis
    causal: bool

    @property
    def here(self) -> Axis:
        """Return the axis of queries without its padding."""
        return replace(self.queries, keep=None)

    @property
    def there(self) -> Axis:
        """Return the axis of keys without its padding."""
        return replace(self.keys, keep=None)


class Relative(Choice):
    """How attention knows where its queries and keys stand."""

    word: ClassVar[str] = ""  # how a figure says it
    turns: ClassVar[bool] = False  # whether it makes queries and keys anew
    adds: ClassVar[bool] = False  # whether it adds numbers to the scores that learn

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        """Report what cannot be; positions belong to self-attention."""
        if attention.kv is not None:
            io.fail(
                "T214",
                f"`{self.type_name}` positions belong to self-attention, and keys come from `{attention.kv}` here",
                "position",
                help="cross-attention has no relative positions: `position: none`",
            )

    def shares(self, place: Place) -> tuple[Shared, ...]:
        """Return the modules of the whole model that it reads: of the role `rope`, or of the role `bias`."""
        return ()

    def module(self, place: Place) -> Call | None:
        """Return its module inside the attention, which is called with (q_BHTK, k_BHSK, mask).

        It gives what is added to the scores, (…, T, S), with the mask put in: -inf where nothing may be read.
        """
        return None

    def weights(self, place: Place) -> Mapping[str, Weight]:
        """Return the parameters of that module by their names in the layer: `relative.weight`."""
        return {}

    def options(self, place: Place) -> Mapping[str, Any]:
        """Return the arguments by which the attention's layer honours it."""
        return {}

    def work(self, place: Place, batch: Size) -> Work:
        """Return what its module inside the attention adds to the work of `batch` sequences."""
        return Work()


class Nowhere(Relative, type="none"):
    """It does not; positions were added to the features, or nowhere."""

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        """Report nothing: there is nothing that could not be."""


class Rotary(Relative, type="rope"):
    """Queries and keys are rotated by angles that grow with the position (arXiv:2104.09864)."""

    word = "rotary"
    turns = True
    theta: PositiveReal = Field(10000.0, description="The longest wavelength is 2π times this.")
    style: Literal["half", "interleaved"] = Field(
        "half", description="Whether feature i turns with i + half the head, or with its neighbour."
    )

    def check(self, io: Ports, attention: Attention, heads: int, dim: int) -> None:
        """Report heads whose features do not pair."""
        super().check(io, attention, heads, dim)
        if dim % 2:
            io.fail("T208", f"rotary positions turn features in pairs, and a head has {dim}", "position")

    def shares(self, place: Place) -> tuple[Shared, ...]:
        """Return the tables of angles."""
        call = Call("Rotary", (place.dim,), {"theta": self.theta, "style": self.style})
        tables = Work(kept=2 * place.queries.size * place.dim)
        return (Shared("rope", "rope", call, place.here, place.here, work=tables),)

    def options(self, place: Place) -> Mapping[str, Any]:
        """Return which features turn together."""
        return {"style": self.style}


class T5Buckets(Relative, type="t5"):
    """A learned number for each head and bucket of distances is added to the scores (arXiv:1910.10683, section 2.1)."""

    word = "relative"
    adds = True
    buckets: Positive = Field(32, description="How many distances are told apart.")
    max_distance: Positive = Field(128, description="Distances from here on share one bucket.")
    share: Name | None = Field(None, description="All attention that names the same table has one; else each its own.")

    def shares(self, place: Place) -> tuple[Shared, ...]:
        """Return the table, where the spec gives it a name."""
        if self.share is None:
            return ()
        call = self._call("T5Bias", place)
        weights = {"weight": Weight((self.buckets, place.heads), decays=False)}
        work = Work(kept=self._ids(place))
        return (Shared("bias", self.share, call, place.here, place.there, weights, work),)

    def module(self, place: Place) -> Call | None:
        """Return a table of its own, where it has no name."""
        return self._call("T5Scores", place) if self.share is None else None

    def weights(self, place: Place) -> Mapping[str, Weight]:
        """Return the weights of a table of its own."""
        if self.share is not None:
            return {}
        return {"relative.table.weight": Weight((self.buckets, place.heads), decays=False)}

    def work(self, place: Place, batch: Size) -> Work:
        """Return the bucket of each pair, which is kept."""
        return Work(kept=self._ids(place)) if self.share is None else Work()

    def _call(self, layer: str, place: Place) -> Call:
        named = {"buckets": self.buckets, "max_distance": self.max_distance, "causal": place.causal}
        return Call(layer, (place.heads,), named)

    def _ids(self, place: Place) -> Size:
        return 2 * place.queries.size * place.keys.size  # an id counts as two
