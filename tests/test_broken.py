"""Specs with one mistake each: one error is told, in the right line, with the right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.broken import BREAKS
from tests.broken.mistake import Break
from tfdsl import checking, document
from tfdsl.report import apply_edits, render

SPECS = Path(__file__).parent.parent / "specs"


def mended(each: Break) -> tuple[str, int]:
    """Return the broken text, and the line in which the mistake must be told."""
    text = (SPECS / f"{each.spec}.yaml").read_text()
    assert each.old in text
    at = text.index(each.old)
    broken = text[:at] + each.new + text[at + len(each.old) :]
    place = broken.index(each.at) if each.at else at + len(each.new) - len(each.new.lstrip())
    return broken, broken.count("\n", 0, place) + 1


@pytest.mark.parametrize("each", BREAKS, ids=[f"{each.spec}-{index}-{each.code}" for index, each in enumerate(BREAKS)])
def test_one_mistake_is_one_error(each: Break) -> None:
    text, line = mended(each)
    checked = checking.run(document.gather_text(text, "broken.yaml", SPECS))
    page = render(checked.diagnostics, checked.document.texts)
    found = [one for one in checked.diagnostics if one.severity == "error"]
    assert [(one.code, one.span and one.span.line) for one in found] == [(each.code, line)], page
    assert each.name in page


@pytest.mark.parametrize("each", BREAKS, ids=[f"{each.spec}-{index}-{each.code}" for index, each in enumerate(BREAKS)])
def test_a_fix_that_is_certain_mends(each: Break) -> None:
    """Where a fix is offered as certain, the mended spec has no error, and is not mended again."""
    text, _ = mended(each)
    checked = checking.run(document.gather_text(text, "broken.yaml", SPECS))
    fixed = apply_edits(text, checked.diagnostics)
    if fixed == text:
        assert not any(one.edits for one in checked.diagnostics)
        return
    after = checking.run(document.gather_text(fixed, "broken.yaml", SPECS))
    assert after.ok, render(after.diagnostics, after.document.texts)
    assert apply_edits(fixed, after.diagnostics) == fixed


def test_there_are_enough_of_them() -> None:
    assert len({(each.spec, each.old, each.new) for each in BREAKS}) == len(BREAKS) >= 150


UNREADABLE = [
    each
    for each in BREAKS
    if each.code in ("D101", "D102", "D103", "D104") and each.old.startswith("- ") and "embed" not in each.old
]


@pytest.mark.parametrize("each", UNREADABLE, ids=lambda each: f"{each.spec} {each.new}")
def test_two_mistakes_are_two_errors(each: Break) -> None:
    """A node that cannot be read does not hide what is wrong elsewhere."""
    text = mended(each)[0].replace("outputs: {logits", "outputs: {logit: [B], logits")
    found = checking.run(document.gather_text(text, "broken.yaml", SPECS)).diagnostics
    assert sorted(one.code for one in found) == [each.code, "N308"]
