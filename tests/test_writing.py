"""Specs written as YAML: what is read back is equal, and the text is one that a person would write."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfdsl
from tests import dice, test_python_api
from tfdsl import Input, Spec
from tfdsl.nodes import Linear

SPECS = sorted((Path(__file__).parents[1] / "specs").glob("*.yaml"))
GOLDEN = Path(__file__).with_name("written")
SIX = ("bert", "gpt2", "hybrid", "t5", "transformer", "vit")  # those of the language's page, which stay as they are


def again(spec: Spec) -> str:
    """Return a spec as YAML, which reads back as an equal spec and is written the same again."""
    text = spec.to_yaml()
    read = tfdsl.load(text)
    assert read == spec
    assert read.to_yaml() == text
    return text


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_spec_reads_back_equal(path: Path) -> None:
    again(tfdsl.load(path))


@pytest.mark.parametrize("name", SIX)
def test_a_spec_is_written_as_it_was(name: str, accept: bool) -> None:
    golden, text = GOLDEN / f"{name}.yaml", tfdsl.load(SPECS[0].with_name(f"{name}.yaml")).to_yaml()
    if accept:
        golden.write_text(text)
    assert text == golden.read_text()


def test_objects_are_written_as_people_write(accept: bool) -> None:
    golden, text = GOLDEN / "objects.yaml", again(test_python_api.spoken())
    if accept:
        golden.write_text(text)
    assert text == golden.read_text()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_a_spec_at_random_reads_back_equal(seed: int) -> None:
    again(tfdsl.load(dice.text(seed)))


WORDS = (
    "null",
    "yes",
    "1e3",
    "0x1",
    "a: b",
    "- a",
    "a #b",
    "{a}",
    "'",
    '"',
    "\\",
    "é\u2028",
    "~",
    "$x",
    "\x7f",
    " a ",
    "",
)


@given(st.text() | st.sampled_from(WORDS))
def test_any_text_reads_back(text: str) -> None:
    spec = Spec(
        name="x", about=text, inputs={"x": Input(shape=[2], dtype="float")}, model=[Linear(source="x", width=2)]
    )
    assert tfdsl.load(spec.to_yaml()).about == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15))
def test_any_number_reads_back(number: float) -> None:
    spec = Spec(
        name="x",
        dims={"n": number},
        inputs={"x": Input(shape=[2], dtype="float")},
        model=[Linear(source="x", width=2)],
    )
    assert tfdsl.load(spec.to_yaml()).dims == {"n": number}
