"""wants: what a block reads from outside, and the order of it in its `forward`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tfdsl.node import Shared, Value
from tfdsl.shapes import Axis, Keep


@dataclass(frozen=True, slots=True)
class Seen:
    """Which positions of an axis are real, those that a cache holds among them."""

    axis: Axis


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the document of each position begins, as the input of this name tells; None where it is not given.

    Positions that a cache holds are among them.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Placed:
    """The place of each position of an axis in its document; None where a row is one document.

    `fresh`: None too where a cache goes on with documents of which nothing new is told.
    """

    axis: Axis
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """Something from outside that a block reads: it becomes a parameter of its `forward`, called `name`."""

    name: str
    about: Value | Shared | Keep | Seen | Begun | Placed | None = field(default=None, compare=False)
    mask: Shared | None = field(default=None, compare=False)

    @property
    def optional(self) -> bool:
        """Return whether it may be None, and a parameter for it may be left out."""
        shared = self.about if isinstance(self.about, Shared) else None
        return isinstance(self.about, Begun | Placed) or (shared is not None and (shared.optional or shared.single))

    @property
    def parameter(self) -> str:
        """Return it as a parameter of a `forward`."""
        return f"{self.name}=None" if self.optional or self == CACHE else self.name


START, CACHE = Want("start"), Want("cache")


def ordered(wants: Iterable[Want]) -> tuple[Want, ...]:
    """Return wants as parameters stand: values, what is shared, masks, the start, what may be None, the cache."""

    def place(want: Want) -> tuple[bool, ...]:
        return want == CACHE, want.optional, want == START, not isinstance(want.about, Value)

    return tuple(sorted(wants, key=place))
