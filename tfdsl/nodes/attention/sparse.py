"""Masks of blocks that see some blocks: near ones, the first and the last, and drawn ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from tfdsl.node import Call, Ports
from tfdsl.nodes.attention.local import SHORT, parts
from tfdsl.nodes.attention.places import Place
from tfdsl.nodes.attention.seen import Blocks, Mask
from tfdsl.parts import Natural, Positive, Truth, needed
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


class BlockSparse(Mask, type="block_sparse"):
    """Blocks of positions that see some blocks: near ones, the first and the last, and drawn ones (BigBird).

    A block sees itself and those beside it (`local` in all), the first `global` blocks and the last, and `random` more
    that are drawn for each key head; the first `global` blocks and the last see all. Causal, a block sees itself and
    the `local - 1` before it, the first `global`, and `random` drawn of those before it. Every position of a block sees
    the same; at a cost in proportion to T (arXiv:2007.14062, section 2; BigBird's ITC).
    """

    word = "block-sparse"
    title = "Block-sparse self-attention"
    block: Positive = needed(description="How many positions a block has; the last may have fewer.")
    local: Positive = Field(3, description="How many blocks next to each other a block sees, its own in the middle.")
    first: Natural = Field(
        1,
        alias="global",
        description="How many blocks at either end are seen by all and see all; causal: at the start.",
    )
    random: Natural = Field(3, description="How many other blocks a block sees (`num_random_blocks` of BigBird).")
    seed: Natural = Field(
        0,
        description="What the draw depends on, besides the head and the block; give layers seeds of their own with "
        "`vary` (`seed: layer`).",
    )
    draw: Truth = Field(
        True,
        description="Whether the `random` blocks are drawn. If not, each is the first block once more, whose keys then "
        "count 1 + random times: what `transformers` does in BigBird when it does not train.",
    )
    full: Natural | None = Field(
        None,
        description="Sequences of at most so many blocks see all (0: none do); local + 2 · global + 2 · random if left "
        "out (as in BigBird's code), 0 if it is causal.",
    )
    causal: Truth = Field(False, description="Whether later positions are hidden.")

    @property
    def looks_ahead(self) -> bool:
        return not self.causal

    @property
    def reach(self) -> int | None:
        return self.block

    @property
    def _full(self) -> int:
        """Return up to how many positions a sequence sees all."""
        if self.full is not None:
            return self.full * self.block
        return 0 if self.causal else (self.local + 2 * self.first + 2 * self.random) * self.block

    @property
    def headed(self) -> bool:
        return self._full == 0

    @property
    def _most(self) -> int:
        """Return how many blocks a block reads."""
        return self.local + self.first * (1 if self.causal else 2) + self.random

    @property
    def whole(self) -> int:
        return max(self._full, self._most * self.block, SHORT if self.draw else 0)

    def table(self, place: Place) -> Call:
        random = self.random if self.draw else 0
        named: dict[str, Any] = {
            "block": self.block,
            "local": self.local,
            "first": self.first,
            "random": random,
            "seed": self.seed,
        }
        named |= {"heads": place.groups, "causal": self.causal, "full": self._full}
        named |= {"shared": place.heads // place.groups} if place.groups != place.heads else {}
        return Call("sparse_table", (), named)

    def blocks(self, place: Place) -> Blocks:
        again = 0 if self.draw else self.random
        named: dict[str, Any] = {"seed": self.seed, "causal": self.causal} | ({"again": again} if again else {})
        layer = Call("SparseBlocks", (self.block, self.local, self.first, 0 if again else self.random), named)
        here = place.queries.size
        count = parts(here, self.block) - (0 if self.causal else 2 * self.first)
        queries, keys = count * self.block, count * self._most * self.block
        hidden = keys * place.heads * (self.block if self.causal else 1)
        rows = 0 if self.causal else here - queries
        drawn = count * self._most * place.groups
        return Blocks(layer, queries, keys, keys * self.block, hidden, hidden, rows, drawn)

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        """Report blocks that cannot lie around one, and blocks that are not drawn where that cannot be had."""
        super().check(io, attention, x, memory)
        if not self.causal and self.local % 2 == 0:
            io.fail(
                "T231",
                f"{self.local} blocks cannot lie around one: as many before as behind it, and itself, is an odd number",
                "mask",
                help=f"`local: {self.local + 1}`",
            )
        why = ""
        if self.causal:
            why = "the first block is seen already, or not yet, where nothing later is seen"
        elif self._full < self._most * self.block:
            why = f"a sequence of {self._most} blocks holds no more than one block sees: `full: {self._most}` at least"
        elif attention.position.adds:
            why = f"`{attention.position.type_name}` positions are added to a table, in which a key stands once"
        if why and not self.draw:
            io.fail("T233", f"the first block cannot be counted again: {why}", "mask")
