"""The lanes that leave the trunks: keys and values in the gaps between towers, tied weights outermost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tfdsl.diagram.cards import clean
from tfdsl.diagram.ground import MARGIN, TRACK, Ground
from tfdsl.diagram.plan import Card, Line, Part, Plan, Point, Wire
from tfdsl.look import Lane

TIED = "one weight, in both places"


def lay(ground: Ground, lanes: Sequence[Lane]) -> Plan:
    """Return all lanes of a figure: those of keys and values first, so that ties go around them."""
    router = _Router(ground)
    return Plan(wires=(*router.memories(lanes), *router.ties(lanes)))


@dataclass(frozen=True, slots=True)
class _Router:
    """Lays lanes one after the other; `taken` counts the tracks beside each tower, by tower and side."""

    ground: Ground
    taken: Counter[tuple[int, int]] = field(default_factory=Counter[tuple[int, int]])

    def beside(self, tower: int, side: int, room: float = MARGIN) -> float:
        """Return the place of the next track on a side of a tower (1 east, −1 west)."""
        track = self.taken[tower, side]
        self.taken[tower, side] += 1
        return self.ground.boxes[tower][2 if side > 0 else 0] + side * (room + TRACK * track)

    def memories(self, lanes: Sequence[Lane]) -> list[Wire]:
        """Return the lanes of values: along the top of the column that makes them, then into the card."""
        wires: list[Wire] = []
        said: set[str] = set()
        labelled: set[str] = set()
        for lane in lanes:
            start, head = self.ground.leaves(lane.tail), self.ground.card(lane.head)
            if lane.kind != "tie" and start and head:
                label = lane.label if lane.label not in said and lane.tail not in labelled else ""
                wires.append(self.memory(lane, *start, head, label))
                said.add(lane.label)
                labelled.add(lane.tail)
        return wires

    def memory(self, lane: Lane, tail: Part, first: Point, level: float, head: Part, label: str) -> Wire:
        home, away = self.ground.tower[tail.key], self.ground.tower[head.key]
        side = 1 if home > away else -1
        x = self.beside(away, side)
        way = 1 if x > first[0] else -1
        line = Line(clean(label, 60), tone="memory" if lane.kind == "memory" else "muted") if label else None
        over = self.over(home, away, first, level, way * (12 + line.width if line else 0.0))
        into = (head.box[2 if side > 0 else 0], head.y)
        points = _turns((first, *over, (x, over[-1][1]), (x, head.y), into))
        at = (first[0] + way * (6 + line.width / 2), over[0][1] + 7.5) if line else (0.0, 0.0)
        return Wire(lane.kind, tail.key, head.key, points, True, line, at, clean(lane.label))

    def over(self, home: int, away: int, first: Point, level: float, label: float) -> tuple[Point, ...]:
        """Return the turns that a lane takes to pass above the towers between its own and the one that it goes to.

        It runs at least `label` points before it rises, to the west where that is negative.
        """
        between = self.ground.boxes[min(home, away) + 1 : max(home, away)]
        high = max([level, *(box[3] + 10 for box in between)])
        if high == level:
            return ((first[0], level),)
        way = 1 if away > home else -1
        x = way * max(way * self.beside(home, way), way * (first[0] + label))
        return (first[0], level), (x, level), (x, high)

    def ties(self, lanes: Sequence[Lane]) -> list[Wire]:
        """Return the lanes of tied weights, the short ones inside the long ones.

        Two cards level in neighbouring towers are tied straight across. Where a matrix is shared several ways, each
        card is tied to the nearest one below it in its own tower, so that one lane goes on from another.
        """
        pairs = [pair for lane in lanes if lane.kind == "tie" and (pair := self.pair(lane))]
        drawn = [(self.nearest(tail, head, pairs), head, label) for tail, head, label in pairs]
        drawn.sort(key=lambda tie: abs(tie[1].y - tie[0].y))
        within = [self.ground.tower[tail.key] == self.ground.tower[head.key] for tail, head, _ in drawn]
        return [
            self.around(*tie) if inside else self.across(*tie[:2]) for tie, inside in zip(drawn, within, strict=True)
        ]

    def pair(self, lane: Lane) -> tuple[Card, Card, str] | None:
        tail, head = self.ground.parts.get(lane.tail), self.ground.parts.get(lane.head)
        return (tail, head, lane.label) if isinstance(tail, Card) and isinstance(head, Card) else None

    def nearest(self, tail: Card, head: Card, pairs: Sequence[tuple[Card, Card, str]]) -> Card:
        """Return the card of the same matrix that is nearest below `head` in its tower, or `tail`."""
        tower = self.ground.tower
        family = [tail, *(other for start, other, _ in pairs if start is tail and other is not head)]
        below = [card for card in family if tower[card.key] == tower[head.key] and card.y < head.y]
        return max(below, key=lambda card: card.y, default=tail)

    def around(self, tail: Card, head: Card, label: str) -> Wire:
        """Return a tie around the outside of one tower."""
        tower, count = self.ground.tower[tail.key], len(self.ground.boxes)
        side = 1 if tower == count - 1 and (tower > 0 or head.x > tail.x) else -1
        if count == 1 and any(self.hidden(card, side) for card in (tail, head)):
            side = side if any(self.hidden(card, -side) for card in (tail, head)) else -side
        edge, end = self.ground.boxes[tower][2 if side > 0 else 0], 2 if side > 0 else 0
        near = head.box[end]
        line = Line(clean(label, 24), tone="tie") if label else None
        x = self.beside(tower, side, max(MARGIN, (line.width + 16 if line else 0) - abs(edge - near)))
        points = ((tail.box[end], tail.y), (x, tail.y), (x, head.y), (near, head.y))
        at = ((x + near + side * 6) / 2, head.y - 7) if line else (0.0, 0.0)
        return Wire("tie", tail.key, head.key, points, True, line, at, TIED)

    def hidden(self, card: Card, side: int) -> bool:
        """Return whether a lane that leaves a card on this side would pass behind another card."""
        others = (part for part in self.ground.parts.values() if isinstance(part, Card) and part is not card)
        level = (other for other in others if other.box[1] < card.y < other.box[3])
        return any((other.x - card.x) * side > 0 for other in level)

    def across(self, tail: Card, head: Card) -> Wire:
        """Return a tie through the gap between two towers: straight where the cards are level."""
        side = 1 if head.x > tail.x else -1
        start, stop = tail.x + side * tail.width / 2, head.x - side * head.width / 2
        if abs(tail.y - head.y) < 0.5:
            return Wire("tie", tail.key, head.key, ((start, tail.y), (stop, tail.y)), tooltip=TIED)
        x = self.beside(self.ground.tower[head.key], -side, MARGIN / 2)
        points = ((start, tail.y), (x, tail.y), (x, head.y), (stop, head.y))
        return Wire("tie", tail.key, head.key, points, tooltip=TIED)


def _turns(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points without those that repeat the one before."""
    return tuple(point for place, point in enumerate(points) if place == 0 or point != points[place - 1])
