"""Streams that need each other, found before the walk, which computes one stream after another."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from collections.abc import Iterator

from tfdsl.checking.frames import Frame, members
from tfdsl.checking.walk import Walk
from tfdsl.node import Flow, Instance, Path, Pipe

Edge = tuple[str, Path]  # the stream that is read, and the field that names it


def refuse(walk: Walk) -> None:
    """Report every cycle of streams once, and take those streams out of the walk: nothing in them has a value."""
    edges = {name: list(_edges(walk, name, pipe, walk.place(name), ())) for name, pipe in walk.spec.streams.items()}
    for first in edges:
        cycle = _cycle(edges, first)
        if cycle is None or any(name in walk.streams for name, _ in cycle):
            continue
        (name, path), *others = cycle
        chain = " → ".join((first, *(each for each, _ in cycle)))
        notes = tuple(walk.report.note(other, f"`{target}` is needed here") for target, other in others)
        help = "one of them must begin without the other"
        walk.report.add("N309", f"streams need each other: {chain}", path, notes=notes, help=help)
        for name, _ in cycle:
            frame = walk.frames[name] = Frame(name, walk.scope, {})
            frame.failed |= {id for id, home in walk.ids.items() if home == name}
            walk.streams[name] = Instance(name, (), Flow((), None, None))


def _edges(walk: Walk, stream: str, pipe: Pipe, path: Path, blocks: tuple[str, ...]) -> Iterator[Edge]:
    """Yield what a stream reads of others: in its own nodes, and in those of the blocks that it names."""
    for place, node in members(pipe, path):
        written = node.given()
        for field in node.reads:
            named = written.get(field, ())
            for name in (named,) if isinstance(named, str) else named if isinstance(named, tuple) else ():
                home = walk.ids.get(name, name)
                if home in walk.spec.streams and home != stream and name not in walk.inputs:
                    yield home, (*place, node.kind, field)
        block = written.get("block")
        if isinstance(block, str) and block in walk.spec.blocks and block not in blocks:
            yield from _edges(walk, stream, walk.spec.blocks[block].body, ("blocks", block, "body"), (*blocks, block))


def _cycle(edges: dict[str, list[Edge]], first: str) -> list[Edge] | None:
    """Return the shortest way from `first` back to it, or None."""
    ways: list[list[Edge]] = [[edge] for edge in edges[first]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        target = way[-1][0]
        if target == first:
            return way
        if target not in seen:
            seen.add(target)
            ways += [[*way, edge] for edge in edges[target]]
    return None
