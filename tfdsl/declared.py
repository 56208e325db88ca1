"""Every weight that a checked spec declares, by its full name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from tfdsl.identifiers import attribute
from tfdsl.node import Flow, Instance, Step, Weight
from tfdsl.spec import Spec


class Walked(Protocol):
    """A spec that was walked through: `Checked`, or the walk itself."""

    @property
    def spec(self) -> Spec | None: ...
    @property
    def streams(self) -> Mapping[str, Instance]: ...


@dataclass(frozen=True, slots=True)
class Declared:
    """A weight where it stands.

    `path` is its name with None in place of a copy's number; `scaled` says that it is the last of a residual's branch,
    `inside` that it is tied to a weight of its own block. `kind` is its node's, where it is of one node alone; `nested`
    says that the node stands in a block, or in a branch of another node.
    """

    name: str
    path: tuple[str | None, ...]
    weight: Weight
    scaled: bool = False
    inside: bool = False
    kind: str = ""
    nested: bool = False


@dataclass(frozen=True, slots=True)
class Within:
    """What stands before the names of a scope: counted, as a path, and as the block in which ties are named."""

    name: str = ""
    path: tuple[str | None, ...] = ()
    block: str = ""
    branch: bool = False
    depth: int = 0

    def inner(self, name: str, copy: int | None = None) -> Within:
        """Return what stands before the names of a block in this scope, or of one of its copies."""
        prefix = f"{self.name}{name}." if copy is None else f"{self.name}{name}.{copy}."
        path = (*self.path, name) if copy is None else (*self.path, name, None)
        return Within(prefix, path, prefix, self.branch, self.depth + 1)


def each_weight(checked: Walked) -> Iterator[Declared]:
    """Yield every weight of the model, tied ones too, in the order of its streams."""
    first: dict[str, str] = {}
    for name, stream in checked.streams.items():
        within = replace(Within().inner(attribute(name)), depth=0) if several(checked) else Within()
        for shared in stream.shares:
            for key, weight in shared.weights.items():
                full = f"{within.name}{shared.held}.{key}"
                tied = first.setdefault(f"{shared.name}.{key}", full)
                path = (*within.path, shared.held, key)
                yield Declared(full, path, weight if tied == full else replace(weight, tied=tied))
        yield from _flow(stream.flow, within)


def several(checked: Walked) -> bool:
    """Return whether the model has named streams, each of which is a module of its own."""
    return checked.spec is not None and isinstance(checked.spec.model, dict)


def _flow(flow: Flow, within: Within) -> Iterator[Declared]:
    for step in flow.steps:
        for name, weight in step.weights.items():
            inside = weight.tied.startswith(".")
            tied = within.block + weight.tied[1:] if inside else weight.tied
            path = (*within.path, step.name, name)
            scaled = within.branch and weight.init == "output"
            full, own = f"{within.name}{step.name}.{name}", replace(weight, tied=tied)
            yield Declared(full, path, own, scaled, inside, step.node.kind, within.depth > 0)
        for inner in step.flows:
            branch = within.branch or step.node.branches
            yield from _flow(inner, replace(within, branch=branch, depth=within.depth + 1))
        yield from _copies(step, within)


def _copies(step: Step, within: Within) -> Iterator[Declared]:
    if not step.repeats or step.shared:
        for instance in step.instances[:1]:
            yield from _flow(instance.flow, within.inner(step.name))
        return
    for copy, index in enumerate(step.order):
        yield from _flow(step.instances[index].flow, within.inner(step.name, copy))


def form(path: tuple[str | None, ...]) -> str:
    """Return a weight's name with a counter in place of each copy's number: `layers.$i.norm_1.weight`."""
    counters = iter("ijklmn")
    return ".".join(f"${next(counters, 'z')}" if each is None else each for each in path)


def weights(checked: Walked) -> dict[str, Weight]:
    """Return every weight of the model by its full name (`layers.0.attention.qkv.weight`), tied ones too."""
    return {each.name: each.weight for each in each_weight(checked)}


def count(checked: Walked) -> int:
    """Return the number of parameters of the model, a tied one once."""
    return sum(weight.count for weight in weights(checked).values() if weight.trained and not weight.tied)
