"""A laid-out stretch of trunk, and how one is set on another."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tfdsl.diagram.cards import dot
from tfdsl.diagram.plan import Line, Part, Plan, Wire

GAP, LABEL_GAP = 15.0, 24.0  # between two things on the trunk, without and with a shape beside the wire


@dataclass(frozen=True, slots=True)
class End:
    """Where the trunk enters or leaves a block: a part, its height, and whether a wire that enters it has an arrow."""

    key: str
    y: float
    arrow: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """A laid-out stretch of trunk from y = 0 to `height`.

    `shape` flows out of it; `label` is that shape where the wire that leaves has to say it; `crown` is the height that
    is free at its top, west of the trunk. `hang` is how far something in it reaches below, beside the card that it may
    stand on; `slim` says that it is such a card, with nothing else beside the trunk.
    """

    plan: Plan
    height: float
    entry: End | None
    exit: End | None
    shape: str = ""
    label: str = ""
    crown: float = 0.0
    hang: float = 0.0
    slim: bool = False

    @property
    def west(self) -> float:
        """Return how far the block reaches west of its trunk."""
        return max(0.0, -self.plan.box[0])

    @property
    def east(self) -> float:
        """Return how far the block reaches east of its trunk."""
        return max(0.0, self.plan.box[2])

    def reach(self, side: int) -> float:
        """Return how far the block reaches to a side."""
        return self.east if side > 0 else self.west


EMPTY = Block(Plan(), 0.0, None, None)


def single(part: Part) -> Block:
    """Return a block of one part that stands on the trunk."""
    placed = replace(part, y=part.height / 2)
    return Block(Plan((placed,)), part.height, End(part.key, 0.0), End(part.key, part.height), slim=True)


def over(below: Block, above: Block) -> Block:
    """Return `above` set on `below`, with the wire between them."""
    base = below.height + (LABEL_GAP if below.label else GAP)
    above = above if below.slim else raised(above)
    plan = below.plan + above.plan.moved(0, base)
    if below.exit and above.entry:
        head = replace(above.entry, y=above.entry.y + base)
        plan += Plan(wires=(link(below.exit, head, below.label, (below.height + base) / 2),))
    top = replace(above.exit, y=above.exit.y + base) if above.exit else None
    return Block(plan, base + above.height, below.entry, top, above.shape, above.label, above.crown, slim=above.slim)


def raised(block: Block) -> Block:
    """Return the block, set so high that nothing hangs below it."""
    if not block.hang:
        return block
    entry, exit = (replace(end, y=end.y + block.hang) if end else None for end in (block.entry, block.exit))
    plan, height = block.plan.moved(0, block.hang), block.height + block.hang
    return replace(block, plan=plan, height=height, entry=entry, exit=exit, hang=0.0)


def tapped(block: Block, key: str) -> Block:
    """Return the block with a dot on top, from which a wire may leave the trunk."""
    if not block.exit:
        return block
    y = block.height + (LABEL_GAP - 4 if block.label else 9)
    wire = link(block.exit, End(f"{key}/tap", y, arrow=False), block.label, (block.height + y) / 2)
    plan = block.plan + Plan((dot(f"{key}/tap", 0, y),), (wire,))
    return replace(block, plan=plan, height=y, exit=End(f"{key}/tap", y), label="", crown=0.0, slim=False)


def link(tail: End, head: End, label: str, middle: float) -> Wire:
    """Return the wire straight up from `tail` to `head`, its shape to the right of it at the height `middle`."""
    line = Line(label) if label else None
    at = (5 + line.width / 2, middle) if line else (0.0, 0.0)
    return Wire("flow", tail.key, head.key, ((0, tail.y), (0, head.y)), head.arrow, line, at)
