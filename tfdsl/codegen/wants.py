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
class Want:
    """Something from outside that a block reads: it becomes a parameter of its `forward`, called `name`."""

    name: str
    about: Value | Shared | Keep | Seen | None = field(default=None, compare=False)
    mask: Shared | None = field(default=None, compare=False)


START, CACHE = Want("start"), Want("cache")


def ordered(wants: Iterable[Want]) -> tuple[Want, ...]:
    """Return wants as parameters stand: values, what is shared, masks, the start, the cache."""
    return tuple(sorted(wants, key=lambda want: (want == CACHE, want == START, not isinstance(want.about, Value))))
