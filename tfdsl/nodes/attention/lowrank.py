"""Attention to a fixed number of sums over the sequence: Linformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tfdsl.node import Call, Ports, Shared, Size, Weight, Work
from tfdsl.nodes.attention.places import Place
from tfdsl.nodes.attention.weighing import Alone
from tfdsl.parts import Positive, needed
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


class LowRank(Alone, type="low_rank"):
    """softmax(q (E k)ᵀ · scale) (F v): queries meet `rank` sums of keys, and read sums of values (Linformer).

    E and F have `rank` rows and a column for each position, up to `length`; a shorter sequence takes the first columns.
    Padding counts as 0 in the sums. A sum holds later positions too, so it cannot be causal (arXiv:2006.04768).
    """

    word = "low-rank"
    weighs = True
    rank: Positive = needed(description="How many sums there are.")
    length: Positive | None = Field(
        None, description="The most positions of a sequence; the length of the axis if that is known."
    )
    share: Literal["none", "heads", "keys_values", "layers"] = Field(
        "heads",
        description="Who has one matrix: `none`, E and F for each key head; `heads`, E and F for all; `keys_values`, "
        "E = F besides; `layers`, one for all attention of the model that has this rank and length.",
    )

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        super().check(io, attention, x, memory)
        axis = x.axes[-2]
        if self.length is None and not isinstance(axis.size, int):
            io.fail(
                "T235",
                f"`low_rank` attention has a weight for each position, and `{axis}` is known only when the model runs",
                "method",
                help="say the most positions that there can be: `length`",
            )
        if self.length is not None:
            io.limit(axis, "method", self.length)

    def reason(self, attention: Attention) -> str:
        if attention.mask.type_name == "causal":
            return "sums keys over the whole sequence, later ones too, and cannot be causal; `linear` can"
        return super().reason(attention)

    def _length(self, place: Place) -> int:
        return self.length if self.length is not None else place.queries.known

    def module(self, place: Place) -> Call:
        named: dict[str, Any] = {"share": self.share}
        named |= {"heads": place.groups} if self.share == "none" else {}
        return Call("LowRank", (self.rank, self._length(place)), named)

    def shares(self, place: Place) -> tuple[Shared, ...]:
        if self.share != "layers":
            return ()
        weights = {"weight": Weight((self.rank, self._length(place)))}
        call = Call("Sums", (self.rank, self._length(place)))
        return (Shared("rank", "sums", call, place.here, place.there, weights),)

    def weights(self, place: Place) -> Mapping[str, Weight]:
        if self.share == "layers":
            return {}
        shape = (self.rank, self._length(place))
        shape = (place.groups, *shape) if self.share == "none" else shape
        names = ("keys",) if self.share == "keys_values" else ("keys", "values")
        return {f"method.{name}": Weight(shape) for name in names}

    def work(self, place: Place, batch: Size) -> Work:
        """Return the sums of keys and values, and the products with them."""
        here, wide = place.queries.size, place.dim + place.value
        flops = 2 * batch * here * self.rank * (place.groups + place.heads) * wide
        kept = batch * here * (place.heads * (place.dim + 1) + 2 * place.groups * wide)
        kept += 2 * batch * place.groups * self.rank * here if self.share == "none" else 0
        return Work(flops=flops, kept=kept + batch * self.rank * place.groups * wide)
