"""The towers set side by side, and the lanes between them: keys and values in the gaps, tied weights outermost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfdsl.diagram.cards import clean
from tfdsl.diagram.plan import Card, Dot, Line, Part, Plan, Point, Wire
from tfdsl.diagram.towers import Site, Tower
from tfdsl.diagram.trunk import BUS
from tfdsl.look import Lane

TRACK = 11.0  # between two lanes side by side
GUTTER = 26.0  # between two towers that no lane goes between
TIED = "one weight, in both places"
MARGIN = 15.0  # from a tower to the first lane beside it


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
    plan = Plan()
    boxes: list[tuple[float, float, float, float]] = []
    parts: dict[str, Part] = {}
    edge = 0.0
    for place, tower in enumerate(stand):
        crossing = [lane for lane in lanes if _gap(owner, lane, site) == place]
        x = edge + tower.block.west + (_room(stand, place, crossing) if place else 0.0)
        tap = parts.get(f"{tower.of}/tap") if tower.of else None
        y = tap.y + BUS if tap else -tower.ground
        moved = tower.block.plan.moved(x, y)
        if tap and tower.block.entry:
            into = tower.block.entry
            points = ((tap.x, tap.y), (x, tap.y), (x, into.y + y))
            moved += Plan(wires=(Wire("flow", tap.key, into.key, points, into.arrow),))
        plan += moved
        parts.update({part.key: part for part in moved.parts})
        boxes.append(moved.box)
        edge = x + tower.block.east
    return Ground(site, plan, parts, owner, boxes)


def _gap(owner: Mapping[str, int], lane: Lane, site: Site) -> int:
    """Return the tower that a lane passes on the west, or −1 where it passes outside of all."""
    tail, head = (owner.get(site.inner.get(key, key), -1) for key in (lane.tail, lane.head))
    return max(tail, head) if tail != head and min(tail, head) >= 0 else -1


def _room(stand: Sequence[Tower], place: int, crossing: Sequence[Lane]) -> float:
    """Return the width of the gap west of a tower: for its lanes side by side, and for their labels."""
    memory = [lane for lane in crossing if lane.kind == "memory"]
    room = GUTTER if not crossing else GUTTER + 8 + TRACK * max(0, len(memory) - 1)
    label = max([0.0, *(Line(clean(lane.label, 60)).width for lane in memory)])
    return max(room, label + 14 + MARGIN + TRACK * len(memory) - stand[place - 1].block.east)


def memories(ground: Ground, lanes: Sequence[Lane]) -> Plan:
    """Return the lanes of keys and values: along the top of the column that makes them, down the gap, into the card."""
    wires: list[Wire] = []
    tracks: dict[int, int] = {}
    said: set[str] = set()
    for lane in lanes:
        start, head = ground.leaves(lane.tail), ground.card(lane.head)
        if lane.kind != "memory" or not start or not head:
            continue
        tail, first, level = start
        column = ground.tower[head.key]
        east = ground.tower[tail.key] > column
        track = tracks.get(column, 0)
        tracks[column] = track + 1
        side = ground.boxes[column][2 if east else 0]
        x = side + (MARGIN + TRACK * track) * (1 if east else -1)
        line = Line(clean(lane.label, 60), tone="memory") if lane.label and lane.label not in said else None
        said.add(lane.label)
        half = line.width / 2 if line else 0.0
        at = (first[0] + (-6 - half if east else 6 + half), level + 7.5)
        into = (head.box[2 if east else 0], head.y)
        points = _turns((first, (first[0], level), (x, level), (x, head.y), into))
        wires.append(Wire("memory", tail.key, head.key, points, True, line, at, clean(lane.label)))
    return Plan(wires=tuple(wires))


def _turns(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points without those that repeat the one before."""
    return tuple(point for place, point in enumerate(points) if place == 0 or point != points[place - 1])


def ties(ground: Ground, lanes: Sequence[Lane]) -> Plan:
    """Return the lanes of tied weights, the short ones inside the long ones.

    Two cards level in neighbouring towers are tied straight across; where a matrix is shared several ways, each card is
    tied to the nearest one below it in its own tower, so that one lane goes on from another.
    """
    pairs = [pair for lane in lanes if lane.kind == "tie" and (pair := _pair(ground, lane))]
    drawn = [(_nearest(ground, tail, head, pairs), head, label) for tail, head, label in pairs]
    drawn.sort(key=lambda tie: abs(tie[1].y - tie[0].y))
    wires: list[Wire] = []
    tracks: dict[str, int] = {}
    for tail, head, label in drawn:
        if ground.tower[tail.key] == ground.tower[head.key]:
            wires.append(_outer(ground, tail, head, label, tracks))
        else:
            wires.append(_across(ground, tail, head, tracks))
    return Plan(wires=tuple(wires))


Pair = tuple[Card, Card, str]


def _pair(ground: Ground, lane: Lane) -> Pair | None:
    tail, head = ground.parts.get(lane.tail), ground.parts.get(lane.head)
    return (tail, head, lane.label) if isinstance(tail, Card) and isinstance(head, Card) else None


def _nearest(ground: Ground, tail: Card, head: Card, pairs: Sequence[Pair]) -> Card:
    """Return the card of the same matrix that is nearest below `head` in its tower, or `tail`."""
    family = [tail, *(other for start, other, _ in pairs if start is tail and other is not head)]
    below = [card for card in family if ground.tower[card.key] == ground.tower[head.key] and card.y < head.y]
    return max(below, key=lambda card: card.y, default=tail)


def _outer(ground: Ground, tail: Card, head: Card, label: str, tracks: dict[str, int]) -> Wire:
    """Return a tie around the outside of one tower."""
    tower = ground.tower[tail.key]
    east = tower == len(ground.boxes) - 1 and (tower > 0 or head.x > tail.x)
    track = tracks.get(side := f"{'east' if east else 'west'} of {tower}", 0)
    tracks[side] = track + 1
    line = Line(clean(label, 24), tone="tie") if label and not track else None
    sign, edge = (1, ground.boxes[tower][2]) if east else (-1, ground.boxes[tower][0])
    near = head.box[2 if east else 0]
    room = max(MARGIN, (line.width + 16 if line else 0) - abs(edge - near))
    x = edge + sign * (room + TRACK * track)
    points = ((tail.box[2 if east else 0], tail.y), (x, tail.y), (x, head.y), (near, head.y))
    at = ((x + near + sign * 6) / 2, head.y + 7) if line else (0.0, 0.0)
    return Wire("tie", tail.key, head.key, points, True, line, at, TIED)


def _across(ground: Ground, tail: Card, head: Card, tracks: dict[str, int]) -> Wire:
    """Return a tie through the gap between two towers: straight where the cards are level."""
    sign = 1 if head.x > tail.x else -1
    start, stop = tail.x + sign * tail.width / 2, head.x - sign * head.width / 2
    if abs(tail.y - head.y) < 0.5:
        return Wire("tie", tail.key, head.key, ((start, tail.y), (stop, tail.y)), tooltip=TIED)
    track = tracks.get(gap := f"into {ground.tower[head.key]}", 0)
    tracks[gap] = track + 1
    x = ground.boxes[ground.tower[head.key]][0 if sign > 0 else 2] - sign * (MARGIN / 2 + TRACK * track)
    points = ((start, tail.y), (x, tail.y), (x, head.y), (stop, head.y))
    return Wire("tie", tail.key, head.key, points, tooltip=TIED)
