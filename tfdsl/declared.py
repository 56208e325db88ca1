"""Every weight that a checked spec declares, by its full name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tfdsl.checking import Checked
from tfdsl.identifiers import attribute
from tfdsl.node import Flow, Instance, Step, Weight


def weights(checked: Checked) -> dict[str, Weight]:
    """Return every weight of the model by its full name (`layers.0.attention.qkv.weight`), tied ones too."""
    several = checked.spec is not None and isinstance(checked.spec.model, dict)
    found: dict[str, Weight] = {}
    for name, shared in checked.shared.items():
        found |= {f"{attribute(name)}.{weight}": each for weight, each in shared.weights.items()}
    for name, stream in checked.streams.items():
        found |= dict(_instance(stream, f"{attribute(name)}." if several else ""))
    return found


def _instance(instance: Instance, prefix: str) -> Iterator[tuple[str, Weight]]:
    yield from _flow(instance.flow, prefix, prefix)


def _flow(flow: Flow, prefix: str, block: str) -> Iterator[tuple[str, Weight]]:
    for step in flow.steps:
        for name, weight in step.weights.items():
            tied = block + weight.tied[1:] if weight.tied.startswith(".") else weight.tied
            yield f"{prefix}{step.name}.{name}", replace(weight, tied=tied)
        for inner in step.flows:
            yield from _flow(inner, prefix, block)
        yield from _copies(step, f"{prefix}{step.name}.")


def _copies(step: Step, prefix: str) -> Iterator[tuple[str, Weight]]:
    if not step.repeats:
        for instance in step.instances:
            yield from _instance(instance, prefix)
        return
    order = step.order[:1] if step.shared else step.order
    for copy, index in enumerate(order):
        yield from _instance(step.instances[index], prefix if step.shared else f"{prefix}{copy}.")


def count(checked: Checked) -> int:
    """Return the number of parameters of the model, a tied one once."""
    return sum(weight.count for weight in weights(checked).values() if not weight.tied)
