"""The towers set side by side, with room between them for the lanes that pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfdsl.diagram.cards import clean
from tfdsl.diagram.plan import Dot, Line, Part, Plan, Point, Wire
from tfdsl.diagram.towers import Site, Tower
from tfdsl.diagram.trunk import BUS
from tfdsl.look import Lane

TRACK = 11.0  # between two lanes side by side
MARGIN = 15.0  # from a tower to the first lane beside it
GUTTER = 26.0  # between two towers that no lane goes between


@dataclass(frozen=True, slots=True)
class Ground:
    """The towers in place, west to east: their plan, each part by key, each part's tower, and each tower's box."""

    site: Site
    plan: Plan
    parts: Mapping[str, Part]
    tower: Mapping[str, int]
    boxes: Sequence[tuple[float, float, float, float]]

    def card(self, key: str) -> Part | None:
        """Return the part that stands for an element: its card, or the last one inside it."""
        return self.parts.get(self.site.inner.get(key, key))

    def leaves(self, key: str) -> tuple[Part, Point, float] | None:
        """Return where a value leaves the trunk: from which part, at which point, and the height to turn at."""
        place = self.site.place(key)
        tap = self.parts.get(f"{place}/tap")
        if isinstance(tap, Dot):
            return tap, (tap.x, tap.y), tap.y
        part = self.card(place)
        if not part:
            return None
        outside = self.parts.get(place, part)
        return part, (part.x, part.box[3]), max(part.box[3], outside.box[3]) + 13


def settle(stand: Sequence[Tower], lanes: Sequence[Lane], site: Site) -> Ground:
    """Return the towers side by side, their grounds level, with room between them for the lanes."""
    owner = {part.key: place for place, tower in enumerate(stand) for part in tower.block.plan.parts}
    paths = [path for lane in lanes if (path := _path(owner, lane, site))]
    plan = Plan()
    boxes: list[tuple[float, float, float, float]] = []
    parts: dict[str, Part] = {}
    for place, tower in enumerate(stand):
        tap = parts.get(f"{tower.of}/tap") if tower.of else None
        y = tap.y + BUS if tap else -tower.ground
        edge = max((_east(plan, y - BUS, y + tower.block.height) if tap else plan.box[2]), 0.0)
        x = edge + tower.block.west + (_room(stand, place, paths) if place else 0.0)
        moved = tower.block.plan.moved(x, y)
        if tap and tower.block.entry:
            into = tower.block.entry
            points = ((tap.x, tap.y), (x, tap.y), (x, into.y + y))
            moved += Plan(wires=(Wire("flow", tap.key, into.key, points, into.arrow),))
        plan += moved
        parts.update({part.key: part for part in moved.parts})
        boxes.append(moved.box)
    return Ground(site, plan, parts, owner, boxes)


def _east(plan: Plan, south: float, north: float) -> float:
    """Return how far a plan reaches east between two heights."""
    level = [part.box[2] for part in plan.parts if part.box[3] > south - 8 and part.box[1] < north + 8]
    passing = [x for wire in plan.wires for x, y in wire.points if south - 8 < y < north + 8]
    return max([0.0, *level, *passing])


@dataclass(frozen=True, slots=True)
class _Path:
    """A lane from one tower to another, or within one."""

    lane: Lane
    tail: int
    head: int

    def passes(self, place: int, count: int) -> bool:
        """Return whether it rises or falls in the gap west of tower `place`, of `count` towers."""
        if self.tail == self.head:
            return self.head == place and place < count - 1
        if self.lane.kind != "tie":
            return place in (self.head, self.tail + 1) if self.tail < self.head else place in (self.head + 1, self.tail)
        return False  # a tie across is level, as a rule


def _path(owner: Mapping[str, int], lane: Lane, site: Site) -> _Path | None:
    tail, head = (owner.get(site.inner.get(key, key)) for key in (lane.tail, lane.head))
    return _Path(lane, tail, head) if tail is not None and head is not None else None


def _room(stand: Sequence[Tower], place: int, paths: Sequence[_Path]) -> float:
    """Return the width of the gap west of a tower: for the lanes in it side by side, and for their labels."""
    here = [path for path in paths if path.passes(place, len(stand))]
    said = [path for path in here if path.lane.kind != "tie" and place - 1 in (path.tail, path.head)]
    label = max([0.0, *(Line(clean(path.lane.label, 60)).width for path in said)])
    room = 2 * MARGIN + 4 + TRACK * (len(here) - 1) if here else GUTTER
    return max(room, label + 14 + MARGIN + TRACK * len(here) - stand[place - 1].block.east if said else 0.0)
