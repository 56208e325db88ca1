"""The catalogue of docs/writing-specs.md: every example on it checks without a warning, builds, and runs."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

import pytest

import tfdsl
from tests import measure
from tfdsl import building

PAGE = Path(__file__).parents[1] / "docs/writing-specs.md"
BLOCK = re.compile(r"^```yaml(?P<form>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LENGTHS = {"B": 2, "M": 3, "N": 2, "S": 6, "T": 12}
FRAME = "frame.yaml"


def examples() -> list[tuple[str, str, str]]:
    """Return each example with the line that it stands on and its form: a whole spec, `layer`, `part`, or a file."""
    page = PAGE.read_text(encoding="utf-8")
    return [
        (str(page.count("\n", 0, each.start()) + 2), each["form"].strip(), each["text"])
        for each in BLOCK.finditer(page)
    ]


EXAMPLES = [pytest.param(form, text, id=f"line {line}") for line, form, text in examples()]


def spec(form: str, text: str) -> str:
    """Return an example as a whole spec: a fragment stands on the page's frame, in place of its parts."""
    if text.startswith("tfdsl: 1"):
        return text
    head = f"tfdsl: 1\nname: example\nextends: {FRAME}\n"
    return head + (f"blocks:\n  layer:\n{indent(text, '    ')}" if form == "layer" else text)


@pytest.mark.parametrize(("form", "text"), EXAMPLES)
def test_an_example_of_the_catalogue_is_right_and_runs(form: str, text: str, tmp_path: Path) -> None:
    frame = next(text for _, form, text in examples() if form == f"file={FRAME}")
    (tmp_path / FRAME).write_text(frame, encoding="utf-8")
    path = tmp_path / "example.yaml"
    path.write_text(spec(form, text), encoding="utf-8")
    checked = tfdsl.check(path)
    # a fragment need not use every size of its frame, nor every field that the frame gives to all
    assert [each for each in checked.diagnostics if each.code not in ("W501", "W504") or form == ""] == []
    given = measure.inputs(checked, {axis: LENGTHS[axis] for axis in tfdsl.cost(checked).axes}, "meta")
    assert measure.results(building.meta(checked), given)


def test_every_example_has_a_form_that_is_known() -> None:
    forms = {form for _, form, _ in examples()}
    assert forms <= {"", "layer", "part", f"file={FRAME}"}
