"""Masks that see near positions alone, and the blocks in which long sequences are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tfdsl.node import Call, Ports, Size, Weight, Work
from tfdsl.nodes.attention.near import Near
from tfdsl.nodes.attention.places import Nowhere, Place
from tfdsl.nodes.attention.seen import Blocks, Mask
from tfdsl.parts import Natural, Positive, Truth, needed
from tfdsl.shapes import Axis, Tensor, either

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention

SHORT = 256  # up to so many positions one table is the faster way, whatever it hides


def parts(size: Size, block: int) -> Size:
    """Return how many blocks it takes to hold `size` positions."""
    return (size + block - 1) // block


def rounded(size: int, unit: int) -> int:
    """Return `size`, rounded up to whole units."""
    return -(-size // unit) * unit


class Sliding(Mask, type="sliding"):
    """The position itself and the `window - 1` before it; as many after it if it is not causal (arXiv:2004.05150).

    A query at i sees a key at j where 0 <= i - j < window; if it is not causal, where |i - j| < window. So the window
    counts the position itself: it is `sliding_window` of Mistral and Gemma as it stands there, and, not causal, w / 2 +
    1 for Longformer's `attention_window` w. Sequences longer than two windows (and than 256) run in blocks, at a cost
    in proportion to T · window.
    """

    word = "sliding"
    title = "Sliding self-attention"
    window: Positive = needed(description="How many positions a query sees on a side, its own among them.")
    causal: Truth = Field(True, description="Whether later positions are hidden.")
    first: Natural = Field(
        0,
        alias="global",
        description="So many of the first positions are seen by all and, if it is not causal, see all "
        "(Longformer's global attention).",
    )
    global_projections: Truth = Field(
        False,
        description="Whether the `global` positions see with queries, keys and values of projections of their own, as "
        "in Longformer (arXiv:2004.05150, section 3.1); others still see them by the usual ones.",
    )

    @property
    def looks_ahead(self) -> bool:
        return not self.causal

    @property
    def reach(self) -> int | None:
        return self.window

    def table(self, place: Place) -> Call:
        named = {"window": self.window} | ({"tokens": self.first} if self.first else {})
        return Call("causal_table" if self.causal else "window_table", (), named)

    @property
    def near(self) -> Near | None:
        return Near(self.window, self.first) if self.causal else None

    @property
    def whole(self) -> int:
        return max(2 * self.window, SHORT, 2 * self.first)

    @property
    def block(self) -> int:
        """Return how many queries stand in a block: half a window, where that is not too few."""
        return max(rounded(self.window, 16) // 2, 32)

    @property
    def before(self) -> int:
        """Return how many keys before a block (and behind it, if it is not causal) one of its queries may see."""
        return rounded(max(self.window - 1, 1), 8)

    def blocks(self, place: Place) -> Blocks:
        named: dict[str, Any] = {} if self.causal else {"after": self.before}
        named |= {"tokens": self.first} if self.first else {}
        named |= {"rows": True} if self._rows else {}
        count = parts(place.queries.size, self.block)
        around = self.before * (1 if self.causal else 2) + self.block + self.first
        pairs = count * self.block * around
        layer = Call("Windows", (self.window, self.block, self.before), named)
        rows = self.first if self._rows else 0
        return Blocks(layer, count * self.block, count * around, pairs, pairs, pairs, rows)

    @property
    def _rows(self) -> bool:
        """Return whether the first positions see all with the usual projections."""
        return self.first > 0 and not self.causal and not self.global_projections

    def module(self, attention: Attention, width: int) -> Call | None:
        if not self.global_projections:
            return None
        dim = attention.dim(width)
        named: dict[str, Any] = {"head_dim": None if dim * attention.heads == width else dim}
        named |= {"bias": bool(attention.bias.letters), "dropout": attention.dropout, "scale": attention.scale}
        return Call("GlobalTokens", (width, attention.heads, self.first), named)

    def weights(self, attention: Attention, width: int) -> Mapping[str, Weight]:
        if not self.global_projections:
            return {}
        q = attention.heads * attention.dim(width)
        found = {"first.q.weight": Weight((q, width)), "first.kv.weight": Weight((2 * q, width))}
        if attention.bias.letters:
            found["first.q.bias"] = Weight((q,), "zeros", decays=False)
            found["first.kv.bias"] = Weight((2 * q,), "zeros", decays=False)
        return found

    def work(self, attention: Attention, place: Place, batch: Size, width: int) -> Work:
        if not self.global_projections:
            return Work()
        here, q = place.queries.size, attention.heads * place.dim
        first = either(here, self.first, self.first, here)
        entering = 2 * batch * first * width * q + 4 * batch * here * width * q
        kept = batch * (either(here, self.whole, 2, 3) * here * q + first * (3 * q + attention.heads))
        return Work(flops=entering + 4 * batch * first * here * q, entering=entering, kept=kept)

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        """Report projections of global positions where there are none, or where they would be seen otherwise."""
        super().check(io, attention, x, memory)
        if not self.global_projections:
            return
        why = ""
        if not self.first:
            why = "`global` says how many positions they are for, and there are none"
        elif self.causal:
            why = "a causal mask has no position that sees all: `causal: false`"
        elif attention.kv is not None:
            why = "keys come from another value here"
        elif attention.qk_norm is not None or not isinstance(attention.position, Nowhere):
            why = "they have no norm and no rotation: leave out `qk_norm` and `position`"
        elif attention.groups != attention.heads:
            why = "they make a key and a value for each head: leave out `kv_heads`"
        elif attention.bias.letters not in ("", "qkv"):
            why = "they have a vector added as the usual ones do, and that is queries, keys and values here, or none"
        if why:
            io.fail("T232", f"global positions cannot have projections of their own: {why}", "mask")


class Chunked(Mask, type="chunked"):
    """The positions of its own chunk: the first `size` positions are one, the next `size` another (Llama 4).

    A query at i sees a key at j where i // size == j // size, and, if it is causal, j <= i. Sequences longer than a
    chunk (and than 256) run a chunk at a time, at a cost in proportion to T · size.
    """

    word = "chunked"
    title = "Chunked self-attention"
    size: Positive = needed(description="How many positions a chunk has (`attention_chunk_size` of Llama 4).")
    causal: Truth = Field(True, description="Whether later positions are hidden.")

    @property
    def looks_ahead(self) -> bool:
        return not self.causal

    @property
    def reach(self) -> int | None:
        return self.size

    def table(self, place: Place) -> Call:
        return Call("chunk_table", (), {"size": self.size, "causal": self.causal})

    @property
    def near(self) -> Near | None:
        return Near(self.size, chunk=True) if self.causal else None

    @property
    def whole(self) -> int:
        return max(self.size, SHORT)

    def blocks(self, place: Place) -> Blocks:
        filled = parts(place.queries.size, self.size) * self.size
        pairs = filled * self.size
        layer = Call("Chunks", (self.size,), {"causal": self.causal})
        hidden, padded = (0, pairs) if self.causal else (filled, filled)
        return Blocks(layer, filled, filled, pairs, hidden, padded)


class Dilated(Mask, type="dilated"):
    """The position itself and those a whole number of steps before it: `window` in all (arXiv:2004.05150, section 3.1).

    A query at i sees keys at i, i - step, i - 2 · step, … i - (window - 1) · step; if it is not causal, as many after
    it. Sequences longer than twice that (and than 256) run in blocks, at a cost in proportion to T · window.
    """

    word = "dilated"
    title = "Dilated self-attention"
    window: Positive = needed(description="How many positions a query sees on a side, its own among them.")
    step: Positive = needed(description="How far apart they stand; 1 is a sliding window.")
    causal: Truth = Field(True, description="Whether later positions are hidden.")

    @property
    def looks_ahead(self) -> bool:
        return not self.causal

    @property
    def reach(self) -> int | None:
        return self.window

    def table(self, place: Place) -> Call:
        return Call("step_table", (), {"window": self.window, "step": self.step, "causal": self.causal})

    @property
    def near(self) -> Near | None:
        return Near((self.window - 1) * self.step + 1, single=self.step == 1) if self.causal else None

    @property
    def whole(self) -> int:
        return max(2 * self.window * self.step, SHORT)

    def blocks(self, place: Place) -> Blocks:
        """Return those of as many shorter sequences as a step has positions."""
        apart = replace(place, queries=Axis(parts(place.queries.size, self.step)))
        near = Sliding.read({"window": self.window, "causal": self.causal}).blocks(apart)
        counts = (near.queries, near.keys, near.pairs, near.hidden, near.padded)
        return Blocks(Call("Strides", (self.step,), {"near": near.layer}), *(self.step * each for each in counts))
