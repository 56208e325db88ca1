"""The layout of columns: each a tower on its own trunk, with its results and the columns that go on from its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tfdsl.diagram.blocks import GAP, LABEL_GAP, Block, End, link, over
from tfdsl.diagram.cards import NARROWEST, bare, clean, dot
from tfdsl.diagram.plan import Part, Plan, Point, Text, Wire
from tfdsl.diagram.tree import frames, innermost
from tfdsl.diagram.trunk import BUS, Setting, pipe, spread, widest
from tfdsl.look import Column, Figure, Source


@dataclass(frozen=True, slots=True)
class Tower:
    """A column that stands on the ground, or beside the value that it begins from, with all that stands on its end."""

    block: Block
    ground: float  # the height in the block that stands level with the other towers' ground
    of: str = ""  # the element whose value it begins from, where that is not a column's end


@dataclass(frozen=True, slots=True)
class Site:
    """What a figure's towers need to know of each other."""

    columns: tuple[Column, ...]
    outer: Mapping[str, str]  # an element at the end of a frame -> that frame
    width: float  # of the cards on the trunks
    inner: Mapping[str, str]  # a frame -> the innermost element at its end
    taps: frozenset[str]
    readers: frozenset[str]

    @staticmethod
    def of(figure: Figure) -> Site:
        """Return the site of a figure: which elements other wires leave from."""
        outer = {inner: frame for column in figure.columns for inner, frame in frames(column.body)}
        tails = [lane.tail for lane in figure.lanes if lane.kind != "tie"]
        tails += [key for column in figure.columns for key, _, _ in column.results]
        tails += [source for column in figure.columns if (source := begins(column))]
        ends = {end(column) for column in figure.columns}
        crowned = {outer.get(key, key) for column in figure.columns for key in _crown_keys(column)}
        keys = {outer.get(tail, tail) for tail in tails}
        lanes = {outer.get(lane.tail, lane.tail) for lane in figure.lanes if lane.kind != "tie"}
        taps = frozenset((keys - ends) | (lanes & ends & crowned))
        readers = frozenset(lane.head for lane in figure.lanes if lane.kind != "tie")
        width = max([NARROWEST, *(widest(column.body) for column in figure.columns)])
        return Site(figure.columns, outer, width, innermost(figure.columns), taps, readers)

    def place(self, key: str) -> str:
        """Return the element that a wire leaves for the value of `key`: the frame that the element ends, or itself."""
        return self.outer.get(key, key)


def begins(column: Column) -> str:
    """Return the element whose value a column begins from, or nothing."""
    first = column.body[0] if column.body else None
    return first.of if isinstance(first, Source) else ""


def end(column: Column) -> str:
    """Return the id of a column's last element."""
    return column.body[-1].id if column.body else ""


def towers(site: Site) -> list[Tower]:
    """Return the towers of a figure, west to east."""
    roots = [column for column in site.columns if not _stands_on(column, site)]
    return [_tower(column, site, -1 if place == 0 and len(roots) > 1 else 1) for place, column in enumerate(roots)]


def _crown_keys(column: Column) -> list[str]:
    return [key for key, _, _ in column.results] + [begins(column)]


def _stands_on(column: Column, site: Site) -> Column | None:
    """Return the column on whose end a column stands, or nothing."""
    source = site.place(begins(column))
    return next((other for other in site.columns if source and end(other) == source and other is not column), None)


def _tower(column: Column, site: Site, side: int) -> Tower:
    source = begins(column)
    block = _column(column, site, side)
    first = column.body[0] if column.body and not source else None
    ground = block.plan.parts[0].box[3] if isinstance(first, Source) and block.plan.parts else 0.0
    return Tower(block, ground, site.place(source))


def _column(column: Column, site: Site, side: int) -> Block:
    """Return the layout of a column, with its results and the columns on its end."""
    source = column.body[0] if begins(column) else None
    body = column.body[1:] if source else column.body
    setting = Setting(side, site.width, site.taps, site.readers)
    block = pipe(body, setting, clean(source.shape, 60) if isinstance(source, Source) else "")
    last = site.place(end(column))
    final = [result for result in column.results if site.place(result[0]) == last]
    for key, name, shape in column.results:
        if site.place(key) != last:
            block = _aside(block, site.place(key), _result(column, name, shape))
    items = [_item(_result(column, name, shape)) for _, name, shape in final]
    items += [_column(other, site, side) for other in site.columns if _stands_on(other, site) is column]
    return _crowned(block, items, last)


def _result(column: Column, name: str, shape: str) -> Text:
    return bare(f"/result/{column.name}/{name}", name, tooltip=f"{name}: {shape}" if shape else name)


def _item(part: Part) -> Block:
    placed = replace(part, y=part.height / 2)
    return Block(Plan((placed,)), part.height, End(part.key, 0.0), None)


def _crowned(block: Block, items: Sequence[Block], last: str) -> Block:
    """Return the block with what stands on its end: straight on where it is one thing, else spread over a bus."""
    if not items or not block.exit:
        return block
    if len(items) == 1:
        return over(block, items[0])
    start = dot(f"{last}/bus", 0, block.height + (LABEL_GAP if block.label else GAP))
    plan = block.plan + Plan((start,))
    plan += Plan(wires=(link(block.exit, End(start.key, start.y, arrow=False), block.label, start.y - LABEL_GAP / 2),))
    base = start.y + BUS
    for x, item in zip(spread(items, 26.0), items, strict=True):
        plan += item.plan.moved(x, base)
        if item.entry:
            points: tuple[Point, ...] = ((0, start.y), (x, start.y), (x, item.entry.y + base))
            wire = Wire("flow", start.key, item.entry.key, points if x else points[1:], item.entry.arrow)
            plan += Plan(wires=(wire,))
    return Block(plan, base + max(item.height for item in items), block.entry, None)


def _aside(block: Block, key: str, result: Text) -> Block:
    """Return the block with a result that leaves it before its end, to the east."""
    tap = next((part for part in block.plan.parts if part.key == f"{key}/tap"), None)
    if not tap:
        return block
    west = block.east + 14
    placed = replace(result, x=west + result.width / 2, y=tap.y)
    wire = Wire("flow", tap.key, result.key, ((tap.x, tap.y), (west, tap.y)))
    return replace(block, plan=block.plan + Plan((placed,), (wire,)))
