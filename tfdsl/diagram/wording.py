"""What a figure says in words: counts, the title's facts, the meaning of its symbols."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from tfdsl import declared
from tfdsl.checking import Checked
from tfdsl.look import Beside, Box, Branch, Column, Element, Group, Source, number
from tfdsl.node import Flow, Instance, Node, Step
from tfdsl.parts import Part


def settings(node: Node) -> str:
    """Return the fields of a node as a spec writes them: `heads: 12, mask: causal`; pipes, names, remarks left out."""
    given = {name: value for name, value in node.given().items() if name not in ("id", "from", "about", "expect")}
    return ", ".join(f"{name}: {_yaml(value)}" for name, value in given.items() if not isinstance(value, tuple))


def _yaml(value: Any) -> str:
    if isinstance(value, Part):
        return _yaml(value.written())
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return "{" + ", ".join(f"{name}: {_yaml(each)}" for name, each in fields.items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def own(step: Step) -> int:
    """Return the parameters that a node brings itself, those in its branches and blocks left out."""
    return sum(weight.count for weight in step.weights.values() if not weight.tied)


def size(flow: Flow) -> int:
    """Return the parameters of a pipe, a tied one not counted, each copy of a block counted."""
    return sum(own(step) + sum(map(size, step.flows)) + _copies(step) for step in flow.steps)


def _copies(step: Step) -> int:
    order = step.order[:1] if step.shared else step.order
    return sum(size(step.instances[index].flow) for index in order)


def steps(flow: Flow) -> Iterator[Step]:
    """Yield the steps of a pipe and of all that it runs, each different copy of a block once."""
    for step in flow.steps:
        yield step
        for inner in (*step.flows, *(instance.flow for instance in step.instances)):
            yield from steps(inner)


def subtitle(checked: Checked, columns: Sequence[Column]) -> str:
    """Return `decoder-only · pre-norm · 124.4M parameters`: what kind of model it is, as far as its parts tell."""
    pieces = [_architecture(checked.streams), _norms(columns)]
    pieces.append(f"{number(declared.count(checked), 4)} parameters")
    return " · ".join(piece for piece in pieces if piece)


def _architecture(streams: Mapping[str, Instance]) -> str:
    found = [step for each in streams.values() for step in steps(each.flow)]
    if any("kv" in step.reads and step.reads["kv"].kind != "input" for step in found) and len(streams) > 1:
        return "encoder-decoder"
    attention = [step for step in found if step.node.family == "attention"]
    if not attention:
        return ""
    decodes = [bool(work.cache or work.states) for work in (step.node.work(step) for step in attention)]
    return "decoder-only" if all(decodes) else "" if any(decodes) else "encoder-only"


def _norms(columns: Sequence[Column]) -> str:
    """Return where the norms stand about the residuals, where all of them agree."""
    found = {place for column in columns for place in _places(column.body)}
    return found.pop() if len(found) == 1 else ""


def _places(elements: Sequence[Element]) -> Iterator[str]:
    for place, element in enumerate(elements):
        if isinstance(element, Group):
            yield from _places(element.body)
        if isinstance(element, Branch) and element.body:
            before, after = _is_norm(element.body[0]), _is_norm(element.body[-1])
            behind = place + 1 < len(elements) and _is_norm(elements[place + 1])
            if len(element.body) > 1 and before and after:
                yield "sandwich norm"
            elif before:
                yield "pre-norm"
            else:
                yield "post-norm" if behind else ""


def _is_norm(element: Element) -> bool:
    return isinstance(element, Box) and element.family == "norm"


def symbols(checked: Checked, columns: Sequence[Column]) -> tuple[tuple[str, str], ...]:
    """Return the names that stand in the figure's shapes and facts, with what each is."""
    said = " ".join(text for column in columns for text in _texts(column.body))
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", said))
    found: dict[str, str] = {}
    for name, value in checked.inputs.items():
        for place, axis in enumerate(value.tensor.axes):
            if not isinstance(axis.size, int) and axis.label in words and axis.label not in found:
                most = checked.limits.get(axis.label)
                meaning = "batch" if place == 0 else f"length of {name}"
                meaning += f" ≤ {most:,}" if most else ""
                found[axis.label] = f"{meaning}, parted by {axis.parts}" if axis.parts else meaning
    dims = {name: value for name, value in checked.dims.items() if name in words and name not in found}
    found |= {name: f"{value:,}" if isinstance(value, int) else f"{value:g}" for name, value in dims.items()}
    return tuple(found.items())


def _texts(elements: Sequence[Element]) -> Iterator[str]:
    for element in elements:
        if isinstance(element, Box | Source):
            yield f"{element.shape} {element.facts}"
        elif isinstance(element, Beside):
            yield f"{element.box.facts} {element.feed}"
        elif isinstance(element, Branch | Group):
            yield from _texts(element.body)
        else:
            yield element.shape
            for part in element.pipes:
                yield from _texts(part)
