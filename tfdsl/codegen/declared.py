"""declared: every parameter that a checked spec declares, by the name that it has in the built module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfdsl.checking import Checked
from tfdsl.codegen.names import attribute
from tfdsl.codegen.scope import shared_name
from tfdsl.node import Flow, Instance, Weight


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter. `path` is its name, with None where a copy of a repeat is counted; `scaled` says that it ends a branch."""

    name: str
    path: tuple[str | None, ...]
    weight: Weight
    tied: str = ""  # the name of the parameter that it is, where it is not its own
    scaled: bool = False


Names = tuple[tuple[str | int, ...], tuple[str | None, ...]]


def declared(checked: Checked) -> Iterator[Declared]:
    """Yield the parameters of a spec, in the order of its streams."""
    seen: set[str] = set()
    for name, stream in checked.streams.items():
        prefix = (attribute(name),) if several(checked) else ()
        for shared in stream.shares:
            for weight, each in shared.weights.items():
                path = (*prefix, shared_name(shared), weight)
                tied = "" if shared.name not in seen else next(made for made in seen if made == shared.name)
                yield Declared(".".join(path), path, each, tied)
            seen.add(shared.name)
        yield from _flow(stream.flow, (prefix, prefix), False)


def several(checked: Checked) -> bool:
    """Return whether a model has named streams, each a class of its own."""
    assert checked.spec is not None, "a spec that was checked is there"
    return isinstance(checked.spec.model, dict)


def _flow(flow: Flow, names: Names, branch: bool) -> Iterator[Declared]:
    counted, path = names
    for step in flow.steps:
        held = attribute(step.name)
        for name, weight in step.weights.items():
            full = ".".join(map(str, (*counted, held, name)))
            scaled = branch and weight.init == "output"
            yield Declared(full, (*path, held, name), weight, _tied(weight.tied, counted), scaled)
        for inner in step.flows:
            yield from _flow(inner, names, branch or step.node.kind == "residual")
        if step.node.kind == "repeat" and not step.shared:
            for copy, index in enumerate(step.order):
                yield from _instance(step.instances[index], ((*counted, held, copy), (*path, held, None)), branch)
        elif step.instances:
            yield from _instance(step.instances[0], ((*counted, held), (*path, held)), branch)


def _instance(instance: Instance, names: Names, branch: bool) -> Iterator[Declared]:
    yield from _flow(instance.flow, names, branch)


def _tied(name: str, counted: tuple[str | int, ...]) -> str:
    """Return the whole name of a parameter that another is tied to; one that begins with a dot stands in the same block."""
    parts = [attribute(part) for part in name.removeprefix(".").split(".")] if name else []
    return ".".join(map(str, (*counted, *parts) if name.startswith(".") else parts))
