"""The pages of kinds: examples that run, drawings without fault, and formulas that are what is counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

import tfdsl
from tests import measure
from tests.diagram.test_dot import faults
from tfdsl import building, formulas, kinds, node, shapes
from tfdsl.checking import Checked
from tfdsl.diagram.dot import write
from tfdsl.diagram.engines import render
from tfdsl.kinds import Change, Example
from tfdsl.node import Step

OURS = tuple(name for name in node.kinds() if node.lookup(name).__module__.startswith("tfdsl."))  # type: ignore[union-attr]
NAMED = [pytest.param(name, word, id=f"{name}-{word}" if word else name) for name in OURS for word in kinds.words(name)]
LENGTHS = {"B": 2, "S": 24, "T": 32}


def shown(name: str, word: str) -> Example:
    """Return an example from the page of its kind, which is made when it is first asked for."""
    return next(each for each in kinds.page(name).examples if each.word == word)


def test_every_kind_shows_itself() -> None:
    assert [name for name in OURS if not kinds.words(name)] == []


@pytest.mark.parametrize(("name", "word"), NAMED)
def test_an_example_is_right_and_runs(name: str, word: str) -> None:
    checked = tfdsl.check(shown(name, word).text)
    assert checked.diagnostics == ()
    axes = lengths(checked)
    model, given = building.meta(checked), measure.inputs(checked, axes, "meta")
    (result,) = measure.results(model, given).values()
    (declared,) = checked.outputs.values()
    assert list(result.shape) == [shapes.at(axis.size, axes) for axis in declared.tensor.axes]
    cost = tfdsl.cost(checked, axes)
    if next(model.parameters(), None) is not None:  # else there is no backward pass to count
        assert (cost.forward, cost.training) == measure.flops(model, given)


def lengths(checked: Checked) -> dict[str, int]:
    """Return lengths for the axes of a spec."""
    return {axis: LENGTHS[axis] for axis in tfdsl.cost(checked).axes}


@pytest.mark.parametrize(("name", "word"), NAMED)
def test_the_inside_of_a_kind_is_drawn_without_fault(name: str, word: str) -> None:
    svg, example = render(write(kinds.picture(name, word)), "svg").data, shown(name, word)
    assert faults(svg) == []
    assert len(svg) < 30_000
    assert max(map(len, example.drawing.splitlines())) <= 96


@pytest.mark.parametrize(("name", "word"), NAMED)
def test_a_stated_formula_is_what_is_counted(name: str, word: str) -> None:
    """The text of each formula, as Python would compute it, at sizes that it was not made from."""
    example = shown(name, word)
    assert example.shapes, "no formula fits"
    dims = sizes(example)
    checked, step = counted(example.text, name, dims)
    known = {**checked.dims, **lengths(checked)}
    own = {key: list(each.shape) or [1] for key, each in step.weights.items() if not each.tied}
    assert {key: [value(side, known) for side in shape.split(" × ")] for key, shape in example.weights} == own
    assert {cost: value(formula, known) for cost, formula in example.costs} == costs(checked, step)
    base = costs(checked, step)
    for change in example.changes:
        for text in changed(example.text, change):
            other = costs(*counted(text, name, dims))
            more = value(change.adds.removeprefix("+ "), known)
            assert other.get(change.cost, 0) - base.get(change.cost, 0) == more, (change, text)


def changed(text: str, change: Change) -> Iterator[str]:
    """Yield an example with each value that a change names, written into its last line."""
    field = change.field
    for each in change.values:
        head, line = text.rstrip().rsplit("\n", 1)
        line = re.sub(rf", {field}: (\{{[^}}]*\}}|[\w.]+)", "", line)
        yield f"{head}\n{line.rstrip('}')}, {field}: {each}}}\n"


def sizes(example: Example) -> dict[str, int]:
    """Return the whole numbers among an example's dims, three times as large."""
    spec = tfdsl.check(example.text).spec
    assert spec is not None
    return {name: 3 * number for name, number in spec.dims.items() if isinstance(number, int)}


def counted(text: str, kind: str, dims: Mapping[str, int]) -> tuple[Checked, Step]:
    """Return an example at other sizes, and its first node of the kind."""
    checked = formulas.check(text, dims)
    step = formulas.first(checked, kind)
    assert checked.ok and step is not None
    return checked, step


def costs(checked: Checked, step: Step) -> dict[str, int]:
    """Return what is counted of a node, where it is anything."""
    work = step.node.work(step)
    own = [each.count for each in step.weights.values() if not each.tied and each.trained]
    found = {"parameters": sum(own), "flops": work.flops, "cache": work.cache + work.states}
    return {name: number for name, size in found.items() if (number := shapes.at(size, lengths(checked)))}


def value(formula: str, names: Mapping[str, float]) -> float:
    """Return the value of a formula, as Python computes it."""
    written = formula.replace("·", "*").replace("²", "**2").replace("³", "**3").replace("^", "**")
    return eval(written, {"__builtins__": {}}, dict(names))
