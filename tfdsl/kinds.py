"""A kind as its page shows it: specs that use it, its inside drawn, what it declares and costs, what fields change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from textwrap import dedent
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from tfdsl import node, reference
from tfdsl.checking import Checked
from tfdsl.diagram.figure import figure
from tfdsl.diagram.sketch import sketch
from tfdsl.formulas import Formulas, check, count, formulas, say
from tfdsl.look import Figure
from tfdsl.node import Node
from tfdsl.parts import Choice, Part

COSTS: Mapping[str, str] = MappingProxyType(
    {
        "parameters": "parameters",
        "flops": "FLOPs of a forward pass",
        "cache": "elements in the cache of decoding",
    }
)
SOURCE = re.compile(r"arXiv:\d{4}\.\d{4,5}")


@dataclass(frozen=True, slots=True)
class Change:
    """What a field, set to any of some values, adds to a cost: a formula with its sign."""

    field: str
    values: tuple[str, ...]
    cost: str
    adds: str

    @property
    def setting(self) -> str:
        """Return the field and its values in words: `activation: relu, gelu, silu or one of 19 more`."""
        shown = self.values if len(self.values) <= 4 else (*self.values[:3], f"one of {len(self.values) - 3} more")
        said = f"{', '.join(shown[:-1])} or {shown[-1]}" if len(shown) > 1 else "".join(shown)
        return f"{self.field}: {said}"


@dataclass(frozen=True, slots=True)
class Example:
    """A spec that shows a kind, or one of its types (`word`): its inside as text, weights, costs as formulas."""

    word: str
    text: str
    drawing: str
    shapes: str
    weights: tuple[tuple[str, str], ...]
    costs: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that is said of a kind: its fields, its sources, its examples."""

    kind: reference.Kind
    sources: tuple[str, ...]
    examples: tuple[Example, ...]


@cache
def page(name: str) -> Page:
    """Return the page of a kind, which must be one."""
    base = node.lookup(name)
    assert base is not None, name
    kind = reference.kind(name)
    examples = tuple(_example(each, word) for word, each in _shown(base))
    return Page(kind, tuple(dict.fromkeys(SOURCE.findall(repr(kind)))), examples)


def words(name: str) -> tuple[str, ...]:
    """Return the words of a kind's examples, in the order of its page: a type, or "" for the kind itself."""
    base = node.lookup(name)
    assert base is not None, name
    return tuple(word for word, _ in _shown(base))


def picture(name: str, word: str = "") -> Figure:
    """Return the figure of an example of a kind, or of one of its types: its inside, without title and legend."""
    base = node.lookup(name)
    assert base is not None, name
    shown = dict(_shown(base))[word]
    drawn = figure(check(text(shown), {}), frozenset({name}))
    return replace(drawn, title="", subtitle="", symbols=(), legend=False)


def text(cls: type[Node]) -> str:
    """Return the example of a kind or a type as a whole spec."""
    return f"tfdsl: 1\nname: {cls.kind}\n{dedent(cls.example).strip()}\n"


def _shown(base: type[Node]) -> Iterator[tuple[str, type[Node]]]:
    """Yield a kind, and those of its types that have an example of their own, where they have one."""
    if base.example:
        yield "", base
    for word, each in base.types.items():
        if each.example and each.example != base.example:
            yield word, each


def _example(cls: type[Node], word: str) -> Example:
    spec = text(cls)
    checked = check(spec, {})
    drawn = figure(checked, frozenset({cls.kind}))
    found, names = formulas(spec, cls.kind), tuple(checked.dims)
    shapes, weights, costs = "", (), ()
    if found is not None:
        shapes = f"{' and '.join(found.takes) or 'nothing'} -> {found.gives}"
        weights = found.weights
        costs = tuple((cost, say(found.costs[cost], names)) for cost in COSTS if found.costs[cost])
    drawing = "\n\n".join(sketch(column.body) for column in drawn.columns)
    changes = tuple(_changes(cls, checked, found)) if found is not None else ()
    return Example(word, spec, drawing, shapes, weights, costs, changes)


def _changes(cls: type[Node], checked: Checked, base: Formulas) -> Iterator[Change]:
    """Yield what each field that takes a few values adds to the costs of an example; values that add alike as one."""
    spec = checked.spec
    pipe = spec.model if spec is not None and isinstance(spec.model, tuple) else ()
    place = next((place for place, each in enumerate(pipe) if each.kind == cls.kind), None)
    if spec is None or place is None:
        return
    found: dict[tuple[str, object], tuple[tuple[str, str], ...]] = {}
    alike: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for name, value in _values(type(pipe[place])):
        new = _with(pipe[place], name, value)
        if new is None:
            continue
        changed = spec.model_copy(update={"model": (*pipe[:place], new, *pipe[place + 1 :])}).to_yaml()
        counted = count(check(changed, {}), cls.kind)
        if counted is None:
            continue
        like = (name, frozenset(counted.items()))  # values that cost the same at one size are counted no further
        if like not in found:
            found[like] = tuple(_differences(changed, cls.kind, base, tuple(checked.dims)))
        alike.setdefault((name, found[like]), []).append(_word(value))
    for (name, adds), values in alike.items():
        yield from (Change(name, tuple(values), cost, more) for cost, more in adds)


def _differences(text: str, kind: str, base: Formulas, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    found = formulas(text, kind)
    if found is None:
        return
    for cost in COSTS:
        more = found.costs[cost] - base.costs[cost]
        if more:
            said = say(more, names)
            yield cost, said.replace("-", "- ", 1) if said.startswith("-") else f"+ {said}"


def _with(old: Node, name: str, value: Any) -> Node | None:
    """Return a node with a field set; None where that cannot be."""
    try:
        return type(old).read({**old.given(), name: value})
    except ValueError:
        return None


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _values(cls: type[Node]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a node that are switches or choices, with each value that is not their default."""
    for name, field in cls.model_fields.items():
        if name not in Node.model_fields:
            for value in _choices(field.annotation):
                yield field.alias or name, value


def _choices(annotation: Any) -> Iterator[Any]:
    if annotation is bool:
        yield True
        yield False
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, Choice):
        yield from annotation.types
    elif isinstance(annotation, type) and issubclass(annotation, Part):
        yield from (True,) if reference.switches(annotation) else ()
    else:
        for each in get_args(annotation):
            yield from _choices(each)
