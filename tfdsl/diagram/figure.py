"""A checked spec as a figure: a column a stream, with its results, its lanes and its title."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfdsl.checking import Checked
from tfdsl.diagram.elements import Scope, last, opens, placed, stream, top
from tfdsl.diagram.tree import walk
from tfdsl.diagram.wording import subtitle, symbols
from tfdsl.identifiers import attribute
from tfdsl.look import Column, Figure, Lane
from tfdsl.node import Step, Value

READS = {"kv": "K, V"}  # what a field that reads a value is called beside its lane


def figure(checked: Checked, opened: frozenset[str] = frozenset()) -> Figure:
    """Return the figure of a spec without errors, at the level of blocks; those `opened` show more."""
    assert checked.spec is not None and checked.ok, "only a spec without errors is drawn"
    ends = {name: last(instance.flow, Scope(name, f"{name}/")) for name, instance in checked.streams.items()}
    columns = tuple(
        Column(name, stream(name, instance, ends, opened), tuple(_results(checked, name, ends)))
        for name, instance in checked.streams.items()
    )
    there = {element.id for column in columns for element in walk(column.body)}
    lanes = tuple(lane for lane in _lanes(checked, ends, opened) if {lane.tail, lane.head} <= there)
    words = subtitle(checked, columns)
    return Figure(checked.spec.name, words, symbols(checked, columns), columns, lanes)


def _results(checked: Checked, name: str, ends: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for result, value in checked.outputs.items():
        if value.home == name:
            yield _maker(checked, value, ends), result, value.tensor.label


def _maker(checked: Checked, value: Value, ends: dict[str, str], scope: Scope | None = None) -> str:
    """Return the id of the element that gives a value, seen from a scope."""
    if value.kind == "stream":
        return ends[value.name]
    scopes = [scope] if scope else []
    scopes.append(Scope(value.home, f"{value.home}/"))
    flow = checked.streams[value.home].flow
    known = {(place.prefix, step.name): top(step, place) for step, place in placed(flow, scopes[-1])}
    found = (known.get((place.prefix, attribute(value.name))) for place in scopes)
    return next((name for name in found if name), "")


def _lanes(checked: Checked, ends: dict[str, str], opened: frozenset[str]) -> Iterator[Lane]:
    """Yield the lanes of values that names tell and of tied weights, each once however many copies have it."""
    lanes: dict[tuple[str, str, str], Lane] = {}
    several = checked.spec is not None and isinstance(checked.spec.model, dict)
    for name, instance in checked.streams.items():
        for step, scope in placed(instance.flow, Scope(name, f"{name}/")):
            read = () if opens(step, opened) else _reads(checked, step, scope, ends)  # what is open says it within
            for lane in (*read, *_ties(step, scope, several)):
                lanes.setdefault((lane.kind, lane.tail, lane.head), lane)
    yield from lanes.values()


def _reads(checked: Checked, step: Step, scope: Scope, ends: dict[str, str]) -> Iterator[Lane]:
    for field, value in step.reads.items():
        if field != "from" and value.kind != "input":
            kind = "memory" if field == "kv" or value.kind == "part" else "read"
            said = READS.get(field, "" if kind == "read" else field)
            label = " : ".join(piece for piece in (said, value.tensor.label) if piece)
            yield Lane(kind, _maker(checked, value, ends, scope), scope.id(step), label)


def _ties(step: Step, scope: Scope, several: bool) -> Sequence[Lane]:
    tied = [weight.tied for weight in step.weights.values() if weight.tied]
    return [Lane("tie", _owner(name, scope, several), scope.id(step)) for name in tied]


def _owner(weight: str, scope: Scope, several: bool) -> str:
    """Return the id of the element that has a weight of this full name (`.tok.weight` within a block)."""
    if weight.startswith("."):
        return scope.prefix + weight[1:].rsplit(".", 1)[0]
    home, _, rest = weight.partition(".") if several else (scope.stream, "", weight)
    return f"{home}/{rest.rsplit('.', 1)[0].replace('.', '/')}"
