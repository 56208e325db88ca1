"""The layout of a pipe: its elements stacked on one trunk (x = 0), bottom to top, with their lanes and frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tfdsl.diagram.blocks import EMPTY, GAP, LABEL_GAP, Block, End, link, over, raised, single, tapped
from tfdsl.diagram.cards import NARROWEST, RADIUS, bare, card, clean, dot, joint, needed, wrap
from tfdsl.diagram.plan import TITLE_SIZE, Frame, Line, Part, Plan, Point, Wire
from tfdsl.diagram.tree import boxes, walk
from tfdsl.look import Beside, Box, Branch, Element, Fork, Group, Source

LANE = 14.0  # from what stands on the trunk to the residual lane around it
FRAME = 13.0  # from a frame's side to what stands in it
BUS = 13.0  # from a fork's bus to its pipes


@dataclass(frozen=True, slots=True)
class Setting:
    """How a trunk is set: which side its lanes take (1 east, −1 west), its cards' width, where other wires leave it.

    `readers` are the elements that read another tower, to the west; in a fork, they stand on that side.
    """

    side: int
    width: float
    taps: frozenset[str] = frozenset()
    readers: frozenset[str] = frozenset()
    depth: int = 0


def pipe(elements: Sequence[Element], setting: Setting, before: str = "") -> Block:
    """Return the layout of a pipe that the shape `before` flows into."""
    bodies: list[Block | None] = []
    flows = [before]
    for element in elements:
        body = _body(element, setting, flows[-1])
        bodies.append(body)
        flows.append(_leaving(element) or (body.shape if body else "") or flows[-1])
    shared = _Shared.of(elements, bodies, setting)
    blocks = [
        _labelled(_block(element, body, shared, setting, flow), element, flow)
        for element, body, flow in zip(elements, bodies, flows, strict=False)
    ]
    return _stacked(elements, blocks, setting, before)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the siblings in a pipe share, so that they line up: the lane's distance, the frames' sides."""

    lane: float
    west: float
    east: float

    @staticmethod
    def of(elements: Sequence[Element], bodies: Sequence[Block | None], setting: Setting) -> _Shared:
        pairs = [(element, body) for element, body in zip(elements, bodies, strict=True) if body]
        branches = [body for element, body in pairs if isinstance(element, Branch)]
        groups = [body for element, body in pairs if isinstance(element, Group)]
        half = setting.width / 2
        labels = [_leaving_label(element, body) for element, body in pairs if isinstance(element, Branch)]
        said = max([0.0, *(5 + Line(label).width for label in labels if setting.side > 0)])
        return _Shared(
            lane=max([half, said, *(body.reach(setting.side) for body in branches)]) + LANE,
            west=max([half, *(body.west for body in groups)]) + FRAME,
            east=max([half, *(body.east for body in groups)]) + FRAME,
        )


def _body(element: Element, setting: Setting, flow: str) -> Block | None:
    if isinstance(element, Branch):
        return pipe(element.body, setting, flow)
    if isinstance(element, Group):
        return pipe(element.body, replace(setting, depth=setting.depth + 1), flow)
    return None


def _leaving(element: Element) -> str:
    return "" if isinstance(element, Group) else element.shape


def _labelled(block: Block, element: Element, flow: str) -> Block:
    """Return the block with its shape as a label, where the shape differs from what flowed in."""
    if isinstance(element, Group):
        return block
    shape = clean(element.shape, 60) or flow
    return replace(block, shape=shape, label=shape if shape != flow else "")


def _block(element: Element, body: Block | None, shared: _Shared, setting: Setting, flow: str) -> Block:
    if isinstance(element, Box):
        return single(card(element, setting.width))
    if isinstance(element, Source):
        return replace(single(bare(element.id, element.title, element.facts)), entry=None)
    if isinstance(element, Beside):
        return _beside(element, setting, flow)
    if isinstance(element, Fork):
        return _fork(element, setting, flow)
    if isinstance(element, Branch):
        return _branch(element, body or EMPTY, shared, setting)
    return _group(element, body or EMPTY, shared, setting)


def _stacked(elements: Sequence[Element], blocks: Sequence[Block], setting: Setting, before: str) -> Block:
    stack = Block(Plan(), 0.0, None, None, before)
    for element, block in zip(elements, blocks, strict=True):
        stack = over(stack, block) if stack.plan.parts else raised(block)
        if element.id in setting.taps:
            stack = tapped(stack, element.id)
    return stack


def _beside(element: Beside, setting: Setting, flow: str) -> Block:
    """A `+` on the trunk, the card that feeds it to the side, and under that what it reads, clear of the trunk."""
    wide = needed(element.box, 96.0)
    mark = replace(joint(element.id, element.symbol), y=card(element.box, wide).height / 2)
    feed = bare(f"{element.id}/feed", element.feed) if element.feed else None
    clear = max(setting.width / 2, Line(flow).width + 5) + 10
    inner = max(38.0, clear + (feed.width - wide) / 2) if feed else 38.0
    x = setting.side * (inner + wide / 2)
    side = replace(card(element.box, wide), x=x, y=mark.y)
    points = ((setting.side * inner, mark.y), (setting.side * RADIUS, mark.y))
    wires = [Wire("flow", side.key, mark.key, points)]
    parts: list[Part] = [mark, side]
    if feed:
        parts.append(replace(feed, x=x, y=side.box[1] - 12 - feed.height / 2))
        ends: tuple[Point, ...] = ((x, parts[-1].box[3]), (x, side.box[1]))
        wires.append(Wire("flow", feed.key, side.key, ends))
    entry, exit = End(mark.key, mark.box[1]), End(mark.key, mark.box[3])
    height = mark.y + side.height / 2
    return Block(Plan(tuple(parts), tuple(wires)), height, entry, exit, hang=-min(part.box[1] for part in parts))


def _branch(element: Branch, body: Block, shared: _Shared, setting: Setting) -> Block:
    """A dot, the body, a `+`, and the lane that goes around the body from the one to the other."""
    start, end = dot(f"{element.id}/in"), joint(element.id, element.symbol, element.tooltip)
    base = BUS if body.entry else 0.0
    label = _leaving_label(element, body)
    end = replace(end, y=base + body.height + (LABEL_GAP if label else GAP) + RADIUS)
    plan = Plan((start, end)) + body.plan.moved(0, base)
    south = End(end.key, end.box[1])
    if body.entry and body.exit:
        plan += Plan(wires=(link(End(start.key, 0), replace(body.entry, y=body.entry.y + base), "", 0),))
        top = base + body.height
        plan += Plan(wires=(link(replace(body.exit, y=body.exit.y + base), south, label, (top + south.y) / 2),))
    else:
        plan += Plan(wires=(link(End(start.key, 0), south, "", 0),))
    lane, side = setting.side * shared.lane, setting.side * end.width / 2
    corners = ((0.0, 0.0), (lane, 0.0), (lane, end.y), (side, end.y))
    around = Wire("residual", start.key, end.key, corners, tooltip=clean(element.tooltip, 400))
    plan += Plan(wires=(around,))
    height = end.box[3]
    crown = height - base - body.height if setting.side > 0 else 0.0
    return Block(plan, height, End(start.key, 0, arrow=False), End(end.key, height), crown=crown)


def _leaving_label(element: Branch, body: Block) -> str:
    """Return what stands beside the wire that leaves a branch's body: its shape where new, the branch's facts."""
    return " · ".join(piece for piece in (body.label, clean(element.facts, 40)) if piece)


def _group(element: Group, body: Block, shared: _Shared, setting: Setting) -> Block:
    """A frame around the body, its title and facts at the top left."""
    room = shared.west - 10 - (RADIUS + 4 if body.crown else 6)
    title = Line(clean(element.title), TITLE_SIZE, bold=True, tone="ink")
    facts = [line for text in element.facts.splitlines()[:4] for line in wrap(Line(clean(text)), room)]
    lines = (*wrap(title, room, 2), *facts)
    head = sum(line.height for line in lines)
    top = max(14.0, head + 13 - body.crown)
    height = FRAME + body.height + top
    inside = body.plan.moved(0, FRAME)
    frame = Frame(
        element.id,
        (shared.east - shared.west) / 2,
        height / 2,
        shared.east + shared.west,
        height,
        lines,
        setting.depth,
        clean(element.tooltip or f"{element.title} {element.facts}", 400),
        element.opened,
        frozenset(part.key for part in inside.parts),
    )
    entry, exit = (replace(end, y=end.y + FRAME) if end else None for end in (body.entry, body.exit))
    return Block(Plan((frame,)) + inside, height, entry, exit, body.shape, body.label)


def _fork(element: Fork, setting: Setting, flow: str) -> Block:
    """Pipes side by side, fed from one bus where they read the trunk, and joined above."""
    blocks = [_way(part, label, element, setting, flow) for part, label in _ordered(element, setting)]
    centres = spread(blocks)
    fed = [not block.plan.parts or bool(block.entry) for block in blocks]
    base = BUS if any(fed) else 0.0
    top = base + max([0.0, *(block.height + (LABEL_GAP if block.label else GAP) for block in blocks)])
    end = joint(element.id, element.symbol, element.tooltip)
    end = replace(end, y=top + end.height / 2)
    start = dot(f"{element.id}/in")
    plan = Plan((start, end)) if any(fed) else Plan((end,))
    for x, block, reads in zip(centres, blocks, fed, strict=True):
        plan += block.plan.moved(x, base) + _strands(x, block, base, start.key if reads else "", end)
    entry = End(start.key, 0, arrow=False) if any(fed) else None
    return Block(plan, end.box[3], entry, End(end.key, end.box[3]))


def _ordered(element: Fork, setting: Setting) -> Sequence[tuple[Sequence[Element], str]]:
    """Return a fork's pipes with their labels, those that read another tower first where their order has no meaning."""
    ways = list(zip(element.pipes, [*element.labels, *("" for _ in element.pipes)], strict=False))
    if element.symbol not in ("+", "×", "or"):
        return ways
    return sorted(ways, key=lambda way: setting.readers.isdisjoint(each.id for each in walk(way[0])))


def _way(part: Sequence[Element], label: str, element: Fork, setting: Setting, flow: str) -> Block:
    """Return one pipe of a fork, what it gives not said where the fork says the same."""
    block = pipe(part, replace(setting, width=widest(part, 96.0)), flow)
    return replace(block, label=clean(label, 40) or ("" if block.label == element.shape else block.label))


def _strands(x: float, block: Block, base: float, start: str, end: Part) -> Plan:
    """Return the wires of one pipe of a fork: from the bus into it, and from its top to the joint."""
    wires: list[Wire] = []
    tail, foot = End(start, 0.0), 0.0
    if block.entry and start:
        points = ((0.0, 0.0), (x, 0.0), (x, block.entry.y + base))
        wires.append(Wire("flow", start, block.entry.key, points if x else points[1:], block.entry.arrow))
    if block.exit:
        tail, foot = replace(block.exit, y=block.exit.y + base), block.height + base
    line = Line(block.label) if block.label else None
    at = (x + 5 + line.width / 2, foot + LABEL_GAP / 2) if line else (0.0, 0.0)
    rise: list[Point] = [(x, tail.y)] if block.exit or not x else [(0.0, 0.0), (x, 0.0)]
    if x:
        rise += [(x, end.y), (end.width / 2 if x > 0 else -end.width / 2, end.y)]
    else:
        rise += [(x, end.box[1])]
    wires.append(Wire("flow", tail.key, end.key, tuple(rise), True, line, at))
    return Plan(wires=tuple(wires))


def spread(blocks: Sequence[Block], gap: float = 20.0) -> list[float]:
    """Return the trunks of blocks side by side: an odd one out stands in the middle, an even number about it."""
    centres: list[float] = []
    edge = 0.0
    for block in blocks:
        centres.append(edge + max(block.west, 8.0))
        edge = centres[-1] + max(block.east, 8.0, 5 + Line(block.label).width if block.label else 0.0) + gap
    count = len(centres)
    middle = centres[count // 2] if count % 2 else (centres[count // 2 - 1] + centres[count // 2]) / 2
    return [centre - middle for centre in centres]


def widest(elements: Sequence[Element], narrowest: float = NARROWEST) -> float:
    """Return the width of the cards on a pipe: what the longest text among them asks for."""
    return max([narrowest, *(needed(box, narrowest) for box in boxes(elements))])
