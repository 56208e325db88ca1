"""A plan written as Graphviz DOT: every place is decided, Graphviz only paints."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from tfdsl.diagram.palette import THEMES, Theme
from tfdsl.diagram.plan import Anchor, Card, Dot, Frame, Joint, Line, Part, Plan, Point, Swatch, Text, Wire
from tfdsl.diagram.sheet import place
from tfdsl.look import Figure

FONT = "Helvetica"
ARROW = 6.5  # the length of an arrowhead: 10 points times `arrowsize`


def write(figure: Figure, theme: str = "light") -> str:
    """Return the DOT text of a figure in a theme, `light` or `dark`.

    Raises KeyError for a theme that is not there, ValueError where two elements of the figure have one id.
    """
    return text(place(figure), THEMES[theme])


def text(plan: Plan, theme: Theme) -> str:
    """Return the DOT text of a plan."""
    names = _names(plan)
    sheet = _Sheet(theme, names)
    frames = [part for part in plan.parts if isinstance(part, Frame)]
    parts = [part for part in plan.parts if not isinstance(part, Frame)]
    lines = [
        f"digraph {_quoted(plan.name or 'figure')} {{",
        f'  graph [layout="nop2" rankdir="BT" splines="line" outputorder="edgesfirst" pad="0.25" bgcolor="{theme.page}"'
        f' fontname="{FONT}"];',
        f'  node [shape="plain" fontname="{FONT}" fontsize="11" fontcolor="{theme.ink}" color="{theme.wire}"'
        ' margin="0" tooltip=" "];',
        f'  edge [fontname="{FONT}" fontsize="9" color="{theme.wire}" penwidth="1.2" arrowsize="0.65"'
        ' arrowhead="normal" arrowtail="none" dir="forward" style="solid" class="flow" tooltip=" "];',
        *(sheet.part(part) for part in parts),
        *sheet.frames(frames),
        *(sheet.wire(wire, number) for number, wire in enumerate(plan.wires, 1)),
        "}",
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Name:
    """What a part is called: in DOT, and as an `id` of the SVG. Both are ours: no text of a user is in them."""

    node: str
    id: str


def ids(figure: Figure) -> dict[str, str]:
    """Return the SVG id of each element of a figure, by the element's own id."""
    return {key: name.id for key, name in _names(place(figure)).items() if not key.startswith("/")}


def _names(plan: Plan) -> dict[str, Name]:
    names: dict[str, Name] = {}
    counts: dict[str, int] = {}
    for part in plan.parts:
        kind = _kind(part)
        counts[kind] = counts.get(kind, 0) + 1
        if part.key in names:
            raise ValueError(f"two elements of the figure have the id {part.key!r}")
        stem = "c" if isinstance(part, Frame) else f"n-{kind}"
        names[part.key] = Name(f"{kind}{counts[kind]}", f"{stem}-{counts[kind]}")
    return names


def _kind(part: Part) -> str:
    if isinstance(part, Card):
        return part.family
    if isinstance(part, Text):
        return part.role
    if isinstance(part, Joint):
        return "join"
    if isinstance(part, Dot):
        return "dot"
    return "frame" if isinstance(part, Frame) else "key"


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Writes parts and wires in one theme."""

    theme: Theme
    names: Mapping[str, Name]

    def part(self, part: Part) -> str:
        name = self.names[part.key]
        attributes = {"pos": f"{_number(part.x)},{_number(part.y)}", "id": name.id, "class": f"node-{_kind(part)}"}
        attributes |= self._shape(part)
        if isinstance(part, Card | Joint | Text) and part.tooltip:
            attributes["tooltip"] = part.tooltip
        if isinstance(part, Card):
            attributes["URL"] = f"#{name.id}"
        return f"  {name.node} [{_listed(attributes)}{self._label(part)}];"

    def _shape(self, part: Part) -> dict[str, str]:
        if isinstance(part, Joint):
            shape = "circle" if part.width == part.height else "box"
            style = "filled" if shape == "circle" else "rounded,filled"
            size = {"width": _inches(part.width), "height": _inches(part.height), "fixedsize": "true"}
            return {"shape": shape, "style": style, "fillcolor": self.theme.page, "penwidth": "1.2", **size}
        if isinstance(part, Swatch):
            paint = self.theme.families[part.family]
            size = {"width": _inches(part.width), "height": _inches(part.height), "fixedsize": "true"}
            return {"shape": "box", "style": "rounded,filled", "fillcolor": paint.fill, "color": paint.stroke, **size}
        if isinstance(part, Dot):
            return {"shape": "point", "width": _inches(part.width), "height": _inches(part.height)}
        if isinstance(part, Anchor):
            return {"shape": "point", "width": _inches(part.width), "height": _inches(part.height), "style": "invis"}
        return {}

    def _label(self, part: Part) -> str:
        if isinstance(part, Card):
            return f" label=<{self._card(part)}>"
        if isinstance(part, Text):
            return f" label=<{self._lines(part.lines, part.align)}>"
        if isinstance(part, Joint):
            size = 9.0 if len(part.symbol) > 1 else 0.78 * part.height
            return f' label=<<font point-size="{_number(size)}">{_escaped(part.symbol)}</font>>'
        return ' label=""'

    def _card(self, card: Card) -> str:
        paint = self.theme.families[card.family]
        side = '<td width="7" rowspan="2"></td>' if card.facts else '<td width="7"></td>'
        height, across = (17 if card.facts else 23), (' colspan="2"' if card.corner else "")
        right = ceil(1.03 * card.corner.width + 5) if card.corner else 0
        left = card.width - 16 - right  # the border takes a point a side, the two side cells seven
        valign = "bottom" if card.facts else "middle"
        title = self._cell(card.title, left, height, "left", valign)
        corner = self._cell(card.corner, right, height, "right", "middle") if card.corner else ""
        rows = f"<tr>{side}{title}{corner}{side}</tr>"
        if card.facts:
            rows += f"<tr>{self._cell(card.facts, left + right, 15, 'left', 'top', across)}</tr>"
        return (
            f'<table border="1" cellborder="0" cellspacing="0" cellpadding="0" style="rounded" color="{paint.stroke}"'
            f' bgcolor="{paint.fill}">{rows}</table>'
        )

    def _cell(self, line: Line, width: float, height: float, align: str, valign: str, span: str = "") -> str:
        size = f'width="{width:.0f}" height="{height:.0f}"'
        return f'<td {size} align="{align}" valign="{valign}"{span}>{self._font(line)}</td>'

    def _lines(self, lines: Sequence[Line], align: str) -> str:
        rows = "".join(f'<tr><td align="{align}">{self._font(line)}</td></tr>' for line in lines)
        return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="0">{rows}</table>'

    def _font(self, line: Line) -> str:
        words = f"<b>{_escaped(line.text)}</b>" if line.bold else _escaped(line.text)
        theme = self.theme
        colours = {"ink": theme.ink, "muted": theme.muted, "memory": theme.memory, "tie": theme.tie}
        colour = colours[line.tone]
        return f'<font point-size="{_number(line.size)}" color="{colour}">{words}</font>'

    def frames(self, frames: Sequence[Frame]) -> list[str]:
        """Return the clusters, nested as the frames are."""
        return [line for frame in frames if not _around(frame, frames) for line in self._frame(frame, frames, "  ")]

    def _frame(self, frame: Frame, frames: Sequence[Frame], indent: str) -> list[str]:
        name = self.names[frame.key]
        inside = [other for other in frames if _around(other, frames) is frame]
        nested = {key for other in inside for key in (*other.members, other.key)}
        west, south, east, north = frame.box
        fill = self.theme.page if frame.opened or frame.depth % 2 else self.theme.frame.fill
        attributes = {
            "id": name.id,
            "class": "frame",
            "style": "rounded,filled,dashed" if frame.opened else "rounded,filled",
            "fillcolor": fill,
            "color": self.theme.frame.stroke,
            "penwidth": "1.2",
            "tooltip": frame.tooltip or " ",
            "bb": ",".join(_number(side) for side in (west, south, east, north)),
        }
        label = ""
        if frame.lines:
            width, height = max(line.width for line in frame.lines), sum(line.height for line in frame.lines)
            attributes["lp"] = f"{_number(west + 11 + width / 2)},{_number(north - 8 - height / 2)}"
            label = f" label=<{self._lines(frame.lines, 'left')}>"
        members = sorted(self.names[key].node for key in frame.members - nested)
        return [
            f"{indent}subgraph cluster_{name.node} {{",
            f"{indent}  graph [{_listed(attributes)}{label}];",
            *([f"{indent}  {'; '.join(members)};"] if members else []),
            *(line for other in inside for line in self._frame(other, frames, indent + "  ")),
            f"{indent}}}",
        ]

    def wire(self, wire: Wire, number: int) -> str:
        attributes = {"id": f"e-{number}", "pos": _spline(wire), "class": wire.kind}
        colours = {"residual": self.theme.lane, "memory": self.theme.memory, "tie": self.theme.tie}
        if wire.kind in colours:
            attributes["color"] = colours[wire.kind]
        if wire.kind == "tie":
            attributes["style"] = "dashed"
        if not wire.arrow:
            attributes["dir"] = "none"
        label = ""
        if wire.label:
            attributes["lp"] = f"{_number(wire.at[0])},{_number(wire.at[1])}"
            label = f" label=<{self._font(wire.label)}>"
        if wire.tooltip:
            attributes["tooltip"] = wire.tooltip
        tail, head = self.names[wire.tail].node, self.names[wire.head].node
        return f"  {tail} -> {head} [{_listed(attributes)}{label}];"


def _around(frame: Frame, frames: Sequence[Frame]) -> Frame | None:
    """Return the innermost frame that a frame stands in."""
    holders = [other for other in frames if frame.key in other.members]
    return min(holders, key=lambda other: len(other.members), default=None)


def _spline(wire: Wire) -> str:
    """Return a wire's points as Graphviz takes them: cubic pieces, and the arrow's tip apart."""
    points = list(wire.points)
    tip = points[-1]
    if wire.arrow:
        points[-1] = _short(points[-2], tip)
    pieces = [points[0]]
    for start, stop in zip(points, points[1:], strict=False):
        pieces += [_between(start, stop, 1 / 3), _between(start, stop, 2 / 3), stop]
    path = " ".join(f"{_number(x)},{_number(y)}" for x, y in pieces)
    return f"e,{_number(tip[0])},{_number(tip[1])} {path}" if wire.arrow else path


def _short(start: Point, tip: Point) -> Point:
    """Return where the line ends so that the arrowhead fits before its tip."""
    length = max(abs(tip[0] - start[0]), abs(tip[1] - start[1]), 0.01)
    return _between(tip, start, min(0.9, ARROW / length))


def _between(start: Point, stop: Point, share: float) -> Point:
    return start[0] + (stop[0] - start[0]) * share, start[1] + (stop[1] - start[1]) * share


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _inches(points: float) -> str:
    return f"{points / 72:.4f}"


def _escaped(words: str) -> str:
    return html.escape(words)


def _quoted(words: str) -> str:
    return f'"{_escaped(words)}"'


def _listed(attributes: Mapping[str, str]) -> str:
    return " ".join(f"{key}={_quoted(value)}" for key, value in attributes.items())
