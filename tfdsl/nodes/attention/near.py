"""What cached decoding keeps where a query sees near positions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfdsl.node import Size
from tfdsl.nodes.attention.places import Place
from tfdsl.shapes import either

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


@dataclass(frozen=True, slots=True)
class Near:
    """The keys and values that a cache keeps: of the newest `window` positions and of the first `tokens`.

    Where it is a `chunk`, of the positions since the last whole multiple of `window`. Once they are kept, a `single`
    query sees all of them.
    """

    window: int
    tokens: int = 0
    chunk: bool = False
    single: bool = True

    @property
    def behind(self) -> str:
        """Return how many positions before a forward it may read, as Python of the number that were there."""
        return f"{{start}} % {self.window}" if self.chunk else f"min({{start}}, {self.window - 1 + self.tokens})"

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

    Others may read what has a name, and a document begins anywhere, so that its first positions do too.
    """
    found = attention.mask.near
    if found is None or not attention.mask.decodes or attention.kv is not None:
        return None
    if attention.keep is not None or attention.reuse is not None or attention.position.layer(attention, place):
        return None
    padded, parts = place.keys.keep is not None, bool(place.keys.parts)
    if (found.tokens and (padded or attention.position.adds)) or (parts and (found.tokens or found.chunk)):
        return None
    if parts:
        return Near(found.window, single=False)
    return Near(found.window, found.tokens, found.chunk, found.single and not padded)


def _least(size: Size, limit: int) -> Size:
    return either(size, limit, limit, size)
