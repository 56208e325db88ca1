"""A page a kind: what it is, specs that are right with what is found in them, specs that are wrong with what is said.

Each `yaml` block of a page is a spec, and the `text` block behind it what comes of it: of a wrong one its diagnostics,
of a right one, for each node of the page's kind, its shape, its weights and what it costs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tfdsl
from tfdsl import costing, document
from tfdsl.checking import Checked, run
from tfdsl.costing import Entry
from tfdsl.node import Flow, Step, kinds, lookup
from tfdsl.report import render

HERE = Path(__file__).parent
PAIR = re.compile(r"^```yaml\n(?P<spec>.*?)^```\n\n```text\n(?P<said>.*?)^```$", re.MULTILINE | re.DOTALL)
LENGTHS = {"B": 2, "S": 8, "T": 16}


def answer(kind: str, text: str) -> str:
    """Return what comes of a spec: its diagnostics, or the facts of its nodes of a kind."""
    checked = run(document.gather_text(text, "spec.yaml", HERE))
    if checked.diagnostics:
        return render(checked.diagnostics, checked.document.texts)
    found = list(_facts(checked, kind))
    assert found, f"a page on `{kind}` has a spec without it"
    return "\n".join(found) + "\n"


def _facts(checked: Checked, kind: str) -> Iterator[str]:
    lengths = {axis: length for axis, length in LENGTHS.items() if axis in tfdsl.cost(checked).axes}
    cost = costing.count(checked, lengths)
    where = "".join(f"{name} = {length}, " for name, length in lengths.items())
    steps = [step for stream in checked.streams.values() for step in _steps(stream.flow)]
    entries = [entry for each in cost.entries for entry in _entries(each)]
    for step, entry in zip(steps, entries, strict=True):
        if step.node.kind == kind:
            yield f"{step.name}: {' and '.join(map(str, step.inputs)) or 'nothing'} -> {step.output}"
            for name, weight in step.weights.items():
                yield f"    {name} {list(weight.shape)}" + (f", that of `{weight.tied}`" if weight.tied else "")
            numbers = f"{entry.flops:,} FLOPs forward, {entry.training:,} with backward, {entry.kept:,} bytes kept"
            yield f"    {where}{numbers}" + (f", {entry.cache:,} cached" if entry.cache else "")


def _steps(flow: Flow) -> Iterator[Step]:
    for step in flow.steps:
        yield step
        for inner in (*step.flows, *(each.flow for each in step.instances)):
            yield from _steps(inner)


def _entries(entry: Entry) -> Iterator[Entry]:
    """Yield the entries of nodes, in the order of the steps."""
    if entry.kind in kinds():
        yield entry
    for child in entry.children:
        yield from _entries(child)


def replay(kind: str, page: str) -> str:
    """Return a page with what comes of its specs now."""
    return PAIR.sub(lambda pair: f"```yaml\n{pair['spec']}```\n\n```text\n{answer(kind, pair['spec'])}```", page)


@pytest.mark.parametrize("kind", sorted(path.stem for path in HERE.glob("*.md")))
def test_a_page_says_what_comes_of_its_specs(kind: str, accept: bool) -> None:
    page = HERE / f"{kind}.md"
    written = page.read_text(encoding="utf-8")
    found = replay(kind, written)
    if accept:
        page.write_text(found, encoding="utf-8")
    assert found == written or accept
    assert written.startswith(f"# {kind}: ")
    assert written.count("```yaml") == len(PAIR.findall(written)) >= 2
    assert any("error[" in said for _, said in PAIR.findall(found)) or kind in NEVER_WRONG


NEVER_WRONG: set[str] = set()  # kinds that take whatever they are given


def test_every_kind_has_a_page_and_every_type_is_on_it() -> None:
    ours = {kind for kind in kinds() if (lookup(kind) or Checked).__module__.startswith("tfdsl.")}
    assert {path.stem for path in HERE.glob("*.md")} == ours
    for kind in ours:
        base, page = lookup(kind), (HERE / f"{kind}.md").read_text(encoding="utf-8")
        assert base is not None
        missing = [name for name in base.types if not re.search(rf"\b{name}\b", page)]
        assert not missing, f"{kind}.md says nothing of {missing}"
