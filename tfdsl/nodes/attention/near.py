"""What cached decoding keeps where a query sees near positions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tfdsl.node import Call, Size
from tfdsl.nodes.attention.places import Place
from tfdsl.shapes import either

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


@dataclass(frozen=True, slots=True)
class Near:
    """The keys and values that a cache keeps: of the newest `window` positions and of the first `tokens`.

    Where it is a `chunk`, of the positions since the last whole multiple of `window`. Once they are kept, a `single`
    query sees all of them. `counts`: the mask tells positions apart by their places in the whole row.
    """

    window: int
    tokens: int = 0
    chunk: bool = False
    single: bool = True
    counts: bool = False

    @property
    def spans(self) -> str:
        """Return how many positions before a forward it may read, as Python of the number that were there."""
        return f"{{start}} % {self.window}" if self.chunk else f"min({{start}}, {self.window - 1 + self.tokens})"

    @property
    def behind(self) -> str:
        """Return how many of them its mask is made for."""
        return "{start}" if self.counts else self.spans

    def table(self, table: Call) -> Call:
        """Return what makes its mask, with what that has to know of it."""
        return replace(table, named={**table.named, "held": self.window}) if self.counts else table

    @property
    def named(self) -> Mapping[str, Any]:
        """Return the arguments by which the layer keeps them."""
        if self.chunk:
            return {"chunk": self.window}
        return {"window": self.window} | ({"tokens": self.tokens} if self.tokens else {})

    def rows(self, length: Size) -> Size:
        """Return how many positions a cache for `length` has room for: `Cache.recent` and `Cache.same_chunk`."""
        first = _least(length, self.tokens) if self.tokens else 0
        spare = 0 if self.chunk else max(self.window // 8, 16) - 1
        return first + _least(length, self.window + spare)


def near(attention: Attention, place: Place) -> Near | None:
    """Return what a cache keeps of attention's keys and values; None where it keeps all.

    Others may read what has a name. A document begins anywhere: so do its first positions, which are not kept, and its
    chunks, for which as many of the newest positions do as a chunk has.
    """
    found = attention.mask.near
    if found is None or not attention.mask.decodes or attention.kv is not None:
        return None
    if attention.keep is not None or attention.reuse is not None:
        return None
    padded, parts = place.keys.keep is not None, bool(place.keys.parts)
    if found.tokens and (parts or attention.position.adds):
        return None
    if parts:
        return Near(found.window, single=False, counts=found.chunk)
    return Near(found.window, found.tokens, found.chunk, found.single and not padded)


def _least(size: Size, limit: int) -> Size:
    return either(size, limit, limit, size)
