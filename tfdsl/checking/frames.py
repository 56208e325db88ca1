"""The scopes of names: a stream, or one copy of a block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tfdsl.checking.scope import Scope
from tfdsl.identifiers import attribute
from tfdsl.node import Node, Path, Pipe, Shared, Step, Value, pipes


@dataclass
class Frame:
    """One scope: the names of its nodes, what was computed so far, and what it needs from outside."""

    home: str
    scope: Scope
    names: Mapping[Path, str]
    parent: Frame | None = None
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    owners: dict[str, Step] = field(default_factory=dict[str, Step])
    failed: set[str] = field(default_factory=set[str])
    reads: dict[str, Value] = field(default_factory=dict[str, Value])
    shares: dict[str, Shared] = field(default_factory=dict[str, Shared])


def members(pipe: Pipe, path: Path) -> Iterator[tuple[Path, Node]]:
    """Yield every node of one scope, in order, with its place: those of a pipe and of the branches in it."""
    for index, node in enumerate(pipe):
        place = (*path, index)
        yield place, node
        for field_path, inner in pipes(node):
            if field_path[0] not in node.own_scope:
                yield from members(inner, (*place, node.kind, *field_path))


def named(pipe: Pipe, path: Path) -> dict[Path, str]:
    """Return the name of each node of a scope: its `id`, or its kind, numbered where there are several."""
    nodes = list(members(pipe, path))
    taken = {node.id for _, node in nodes if node.id}
    totals = Counter(node.label for _, node in nodes if not node.id)
    counts: Counter[str] = Counter()
    names: dict[Path, str] = {}
    for place, node in nodes:
        name = node.id or node.label
        if not node.id and (totals[name] > 1 or name in taken):
            label = name
            while True:
                counts[label] += 1
                name = f"{label}_{counts[label]}"
                if name not in taken:
                    break
        taken.add(name)
        names[place] = attribute(name)
    return names
