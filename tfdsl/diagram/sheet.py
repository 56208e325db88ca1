"""The whole figure in place: the towers and their lanes, the title above, the legend below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from types import MappingProxyType

from tfdsl.diagram.cards import RADIUS, clean, joint, wrap
from tfdsl.diagram.ground import settle
from tfdsl.diagram.lanes import lay
from tfdsl.diagram.plan import Anchor, Card, Joint, Kind, Line, Plan, Swatch, Text, Wire
from tfdsl.diagram.towers import Site, towers
from tfdsl.look import Family, Figure

TITLE_ROOM = 345.0  # the width that a title may take where the figure under it is narrower
SWATCH = 14.0, 11.0
SPACE = 11.0  # between two columns of the legend
GRAIN = 3.0
POINT = 0.72  # the size of an unseen point

FAMILIES: Mapping[Family, str] = MappingProxyType(
    {
        "embedding": "Embedding",
        "position": "Position",
        "attention": "Attention",
        "norm": "Normalisation",
        "ffn": "Feed-forward",
        "linear": "Linear",
        "softmax": "Softmax",
        "mask": "Mask, dropout",
        "plain": "Other",
    }
)
JOINTS: Mapping[str, str] = MappingProxyType({"+": "Add", "×": "Multiply"})
LANES: Mapping[Kind, str] = MappingProxyType(
    {"residual": "Residual", "memory": "Keys and values", "tie": "Tied weights"}
)


def place(figure: Figure) -> Plan:
    """Return the plan of a figure."""
    site = Site.of(figure)
    ground = settle(towers(site), figure.lanes, site)
    drawing = ground.plan + lay(ground, figure.lanes)
    west, south, east, north = drawing.box
    room = max(east - west, TITLE_ROOM)
    title = _title(figure, room)
    key = _legend(drawing, max(east - west, title.width if title else 0.0)) if figure.legend else Plan()
    wide = max(east - west, title.width if title else 0.0, key.box[2])
    drawing = drawing.moved((wide - (east - west)) / 2 - west, -south)
    plan = Plan(name=clean(figure.title, 60)) + drawing + key.moved(0, -26 - key.box[3])
    if title:
        above = replace(title, x=title.width / 2, y=north - south + 20 + title.height / 2)
        plan += Plan((above,))
    return plan + _corners(plan)


def _corners(plan: Plan) -> Plan:
    """Return two unseen points that round a plan's size up to whole pixels, at 72, 96 and 192 to the inch alike."""
    west, south, east, north = (round(side) for side in plan.box)
    wide, high = (GRAIN * ceil((size + 4) / GRAIN) - POINT for size in (east - west, north - south))
    x, y = west - 2 + POINT / 2, south - 2 + POINT / 2
    return Plan((Anchor("/corner/1", x, y, POINT, POINT), Anchor("/corner/2", x + wide, y + high, POINT, POINT)))


def _title(figure: Figure, room: float) -> Text | None:
    """Return the title, the subtitle and the symbols as one text, wrapped to `room` points."""
    lines: list[Line] = []
    if figure.title:
        lines.append(Line(clean(figure.title, 60), 16.0, bold=True, tone="ink"))
    lines += wrap(Line(clean(figure.subtitle, 400), 10.0), room)
    lines += _symbols(figure.symbols, room)
    if not lines:
        return None
    width, height = max(line.width for line in lines), sum(line.height for line in lines)
    return Text("/title", 0, 0, width, height, tuple(lines), align="left", role="title")


def _symbols(symbols: Sequence[tuple[str, str]], room: float) -> list[Line]:
    """Return `T = target length` and its like, as many on a line as `room` holds."""
    lines: list[Line] = []
    for name, meaning in symbols:
        entry = f"{clean(name, 24)} = {clean(meaning, 60)}"
        longer = replace(lines[-1], text=f"{lines[-1].text}    {entry}") if lines else None
        if longer and longer.width <= room:
            lines[-1] = longer
        else:
            lines.append(Line(entry))
    return lines


def _legend(drawing: Plan, room: float) -> Plan:
    """Return the key to the families, joints and lanes that the drawing uses, from the origin down, in columns."""
    entries = _entries(drawing)
    if not entries:
        return Plan()
    widths = [SWATCH[0] + 5 + line.width for _, line in entries]
    across = max([1, *(n for n in range(1, len(entries) + 1) if sum(_columns(widths, n)) - SPACE <= room)])
    across = -(-len(entries) // -(-len(entries) // across))  # as many rows, evenly filled
    columns = _columns(widths, across)
    plan = Plan()
    for place, (sign, line) in enumerate(entries):
        key = f"/legend/{place}"
        word = Text(key, SWATCH[0] + 5 + line.width / 2, 0, line.width, line.height, (line,), "left", "legend")
        column, row = place % across, place // across
        plan += (_renamed(sign, key) + Plan((word,))).moved(sum(columns[:column]), -17.0 * row)
    return plan


def _columns(widths: Sequence[float], across: int) -> list[float]:
    """Return the widths of `across` columns that hold entries row by row, and the space behind each."""
    return [max(widths[column::across]) + SPACE for column in range(min(across, len(widths)))]


def _renamed(sign: Plan, stem: str) -> Plan:
    """Return a sign of the legend with keys of its own."""
    parts = tuple(replace(part, key=f"{stem}/{part.key}") for part in sign.parts)
    wires = tuple(replace(wire, tail=f"{stem}/{wire.tail}", head=f"{stem}/{wire.head}") for wire in sign.wires)
    return Plan(parts, wires)


def _entries(drawing: Plan) -> list[tuple[Plan, Line]]:
    families = {part.family for part in drawing.parts if isinstance(part, Card)}
    symbols = {part.symbol for part in drawing.parts if isinstance(part, Joint)}
    kinds = {wire.kind for wire in drawing.wires}
    middle = SWATCH[0] / 2
    entries: list[tuple[Plan, Line]] = []
    for family, name in FAMILIES.items():
        if family in families:
            entries.append((Plan((Swatch("swatch", middle, 0, *SWATCH, family),)), Line(name)))
    for symbol, name in JOINTS.items():
        if symbol in symbols:
            small = replace(joint("joint", symbol), x=middle, width=1.4 * RADIUS, height=1.4 * RADIUS)
            entries.append((Plan((small,)), Line(name)))
    for kind, name in LANES.items():
        if kind in kinds:
            ends = Anchor("from", 0, 0, POINT, POINT), Anchor("to", SWATCH[0], 0, POINT, POINT)
            wire = Wire(kind, "from", "to", ((0, 0), (SWATCH[0], 0)), arrow=False)
            entries.append((Plan(ends, (wire,)), Line(name)))
    return entries
