"""What positions in attention must answer, and what they may know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from tfdsl.node import Call, Ports, Shared, Size, Weight, Work
from tfdsl.parts import Choice
from tfdsl.shapes import Axis

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


@dataclass(frozen=True, slots=True)
class Place:
    """The attention that positions enter: its heads, the features of one, its key heads, its two axes.

    `width` is that of the value that it takes, `scale` what it multiplies scores by, `value` the features of a value
    head. The axes know their size, padding and documents alone, so that equal ones are equal. `rows` counts the
    sequences that have places of their own: all of them where documents share a row, else one stands for all.
    """

    heads: int
    dim: int
    groups: int
    queries: Axis
    keys: Axis
    causal: bool
    width: int
    scale: float
    value: int
    rows: Size = 1

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
    adds: ClassVar[bool] = False  # whether it adds numbers to the scores, with the mask put in
    learns: ClassVar[bool] = True  # whether those numbers learn

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
        """Return the modules of the whole model that it reads: of the role `rope`, `bias` or `table`."""
        return ()

    def layer(self, attention: Attention, place: Place) -> Call | None:
        """Return the layer that the whole attention compiles to, where these positions need one of their own."""
        return None

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
