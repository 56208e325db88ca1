"""A figure with every place decided: cards, texts, wires and frames, in points, with y upwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from tfdsl.diagram import fonts
from tfdsl.look import Family

TITLE_SIZE, FACT_SIZE = 11.0, 9.0
LINE = 1.25  # the height of a line of text, in its size

Tone = Literal["ink", "muted", "memory", "tie"]
Kind = Literal["flow", "residual", "memory", "read", "tie", "legend"]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text in one style."""

    text: str
    size: float = FACT_SIZE
    bold: bool = False
    tone: Tone = "muted"

    @property
    def width(self) -> float:
        """Return how wide the line stands, in points."""
        return fonts.width(self.text, self.size, bold=self.bold)

    @property
    def height(self) -> float:
        """Return how high the line stands, in points."""
        return LINE * self.size


@dataclass(frozen=True, slots=True)
class Part:
    """What every placed thing has: a key that is unique in the figure, and its centre and size."""

    key: str
    x: float
    y: float
    width: float
    height: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return west, south, east and north."""
        half_width, half_height = self.width / 2, self.height / 2
        return self.x - half_width, self.y - half_height, self.x + half_width, self.y + half_height


@dataclass(frozen=True, slots=True)
class Card(Part):
    """A node: a rounded box with a title, a fact under it, and a corner."""

    family: Family
    title: Line
    facts: Line | None = None
    corner: Line | None = None
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Joint(Part):
    """Where values are joined: a circle with `+` or `×`, or a pill with a word."""

    symbol: str
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Dot(Part):
    """Where one value goes two ways."""


@dataclass(frozen=True, slots=True)
class Text(Part):
    """Bare lines of text, set to one side of their place or in its middle."""

    lines: tuple[Line, ...] = ()
    align: Literal["left", "center"] = "center"
    role: Literal["io", "title", "legend"] = "io"
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Swatch(Part):
    """A small card in the legend."""

    family: Family


@dataclass(frozen=True, slots=True)
class Anchor(Part):
    """An end of a wire in the legend: it is not seen."""


@dataclass(frozen=True, slots=True)
class Frame(Part):
    """A frame around a stretch of the trunk; `members` are the keys of what stands in it, a node `opened` is dashed."""

    lines: tuple[Line, ...] = ()
    depth: int = 0
    tooltip: str = ""
    opened: bool = False
    members: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection along the axes, from the part `tail` to the part `head`."""

    kind: Kind
    tail: str
    head: str
    points: tuple[Point, ...]
    arrow: bool = True
    label: Line | None = None
    at: Point = (0.0, 0.0)  # the middle of the label
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that stands in a figure."""

    parts: tuple[Part, ...] = ()
    wires: tuple[Wire, ...] = ()
    name: str = field(default="", kw_only=True)

    def moved(self, dx: float, dy: float) -> Plan:
        """Return the plan, shifted."""
        return Plan(
            tuple(replace(part, x=part.x + dx, y=part.y + dy) for part in self.parts),
            tuple(
                replace(
                    wire,
                    points=tuple((x + dx, y + dy) for x, y in wire.points),
                    at=(wire.at[0] + dx, wire.at[1] + dy),
                )
                for wire in self.wires
            ),
            name=self.name,
        )

    def __add__(self, other: Plan) -> Plan:
        return Plan(self.parts + other.parts, self.wires + other.wires, name=self.name or other.name)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return west, south, east and north of all that is drawn; a plan with nothing in it is a point."""
        return bounds([part.box for part in self.parts] + [reach for wire in self.wires for reach in _reaches(wire)])


def bounds(boxes: Iterable[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """Return the smallest box around boxes; a point where there are none."""
    sides = list(zip(*boxes, strict=True))
    if not sides:
        return 0.0, 0.0, 0.0, 0.0
    west, south, east, north = sides
    return min(west), min(south), max(east), max(north)


def _reaches(wire: Wire) -> list[tuple[float, float, float, float]]:
    reaches = [(x, y, x, y) for x, y in wire.points]
    if wire.label:
        half_width, half_height = wire.label.width / 2, wire.label.height / 2
        x, y = wire.at
        reaches.append((x - half_width, y - half_height, x + half_width, y + half_height))
    return reaches
