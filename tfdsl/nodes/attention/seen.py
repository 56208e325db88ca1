"""What every mask must answer, and those that need no window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tfdsl.node import Call, Ports, Size, Weight, Work
from tfdsl.nodes.attention.near import Near
from tfdsl.nodes.attention.places import Place
from tfdsl.parts import Choice, Positive, needed
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


@dataclass(frozen=True, slots=True)
class Blocks:
    """The layer that takes long sequences in blocks, and what stands in the blocks of one sequence.

    `queries` and `keys` count each as often as it stands in a block, `pairs` the scores of a head, `hidden` the
    elements of the mask where nothing is padding, `padded` those where something is; `rows` the queries that read all
    besides, and `drawn` the places of blocks that were looked up.
    """

    layer: Call
    queries: Size
    keys: Size
    pairs: Size
    hidden: Size
    padded: Size
    rows: Size = 0
    drawn: Size = 0


class Mask(Choice):
    """Which positions a query may see. Padding is hidden without being asked for."""

    word: ClassVar[str]  # how a figure says it
    title: ClassVar[str] = "Self-attention"  # how a figure calls attention that has it
    built_in: ClassVar[bool] = False  # whether torch's own attention knows it without a table

    @property
    def looks_ahead(self) -> bool:
        """Return whether a query may see later positions."""
        return False

    @property
    def decodes(self) -> bool:
        """Return whether keys and values may be kept while a sequence is written."""
        return not self.looks_ahead

    @property
    def reach(self) -> int | None:
        """Return how many positions a query sees on a side, its own among them; None where there is no limit."""
        return None

    @property
    def near(self) -> Near | None:
        """Return which positions a query sees, where it looks back and they are near; None where they are not."""
        return None

    def table(self, place: Place) -> Call | None:
        """Return the function of `tfdsl.layers` that makes the boolean (T, S) table; None: nothing is hidden.

        It is called with the value before, then (unless the mask looks ahead) with the number of earlier positions that
        a cache holds, then with the call's own arguments, and with `whole` where there are `blocks`.
        """
        return None

    def blocks(self, place: Place) -> Blocks | None:
        """Return how sequences of more than `whole` positions are taken in blocks; None: they are not."""
        return None

    @property
    def headed(self) -> bool:
        """Return whether each head has a table of its own."""
        return False

    @property
    def whole(self) -> int:
        """Return up to how many positions a sequence is taken whole, with the table."""
        return 0

    def module(self, attention: Attention, width: int) -> Call | None:
        """Return the layer that reads for the first positions; it takes the value before and the mask."""
        return None

    def weights(self, attention: Attention, width: int) -> Mapping[str, Weight]:
        """Return the parameters of that layer, by their names in the attention's: `first.q.weight`."""
        return {}

    def work(self, attention: Attention, place: Place, batch: Size, width: int) -> Work:
        """Return what that layer adds to the work of `batch` sequences."""
        return Work()

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        """Report what cannot be: a mask compares places, which must be of one axis."""
        if attention.kv is not None and memory.axes[-2].size != x.axes[-2].size:
            io.fail(
                "T214",
                f"a {self.word} mask compares places, and queries stand on `{x.axes[-2]}`, keys on `{memory.axes[-2]}`",
                "mask",
                help="cross-attention sees all of the other stream: `mask: full`",
            )


class Full(Mask, type="full"):
    """Every position."""

    word = "bidirectional"

    @property
    def looks_ahead(self) -> bool:
        return True

    def check(self, io: Ports, attention: Attention, x: Tensor, memory: Tensor) -> None:
        """Report nothing: what hides nothing fits everywhere."""


class Causal(Mask, type="causal"):
    """The position itself and those before it."""

    word = "causal"
    title = "Causal self-attention"
    built_in = True

    def table(self, place: Place) -> Call:
        return Call("causal_table")


class Prefix(Mask, type="prefix"):
    """The first `length` positions, by all; and the position itself and those before it (prefix language models).

    A query at i sees a key at j where j <= i or j < length, counted from 0. With a cache the first forward must hold
    the whole prefix.
    """

    word = "prefix"
    title = "Prefix self-attention"
    length: Positive = needed(description="How many positions, from the first on, every position sees.")

    @property
    def looks_ahead(self) -> bool:
        return True

    @property
    def decodes(self) -> bool:
        return True

    @property
    def reach(self) -> int | None:
        return self.length

    def table(self, place: Place) -> Call:
        return Call("prefix_table", (), {"length": self.length})
