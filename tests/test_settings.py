"""The `train` and `sample` sections: what they take, what they refuse."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

import tfdsl
from tfdsl.parts import Part
from tfdsl.settings import Data, Objective, Sample, Train
from tfdsl.settings.headlines import headline


def plain(value: Any) -> Any:
    """Return a setting as a spec writes it."""
    written = value.written() if isinstance(value, Part) else value
    if not isinstance(written, dict):
        return written
    kept = {key: plain(each) for key, each in written.items()}
    return kept[value.headline] if isinstance(value, Part) and [*kept] == [value.headline] else kept


@pytest.mark.parametrize(
    "section",
    [
        {"objective": "seq2seq", "label_smoothing": 0.1, "schedule": {"type": "noam", "warmup": 4000}},
        {"objective": "masked_token"},
        {"objective": "classify"},
        {
            "data": "stdlib",
            "tokenizer": {"type": "bpe", "vocab_size": 2048},
            "minutes": 2,
            "evaluate": {"batches": "all"},
        },
    ],
)
def test_sections_of_the_specs_are_taken(section: dict[str, Any]) -> None:
    train = Train.read(section)
    assert Train.read(train.model_dump()) == train
    assert {key: plain(value) for key, value in train.given().items()} == section


@pytest.mark.parametrize(
    ("section", "at"),
    [
        ({"stepz": 3}, ("stepz",)),
        ({"optimizer": {"rate": 1}}, ("optimizer", "rate")),
        ({"objective": "next"}, ("objective", "type")),
        ({"steps": 0}, ("steps",)),
        ({"label_smoothing": 1.0}, ("label_smoothing",)),
        ({"tokenizer": {"type": "bytes", "vocab_size": 9}}, ("tokenizer",)),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused(section: dict[str, Any], at: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        Train.model_validate(section)
    assert [error["loc"] for error in caught.value.errors()] == [at]


def test_sample_is_closed_too() -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate({"heat": 1})


def test_a_tokenizer_may_be_its_type_alone() -> None:
    assert Train.read({"tokenizer": "bytes"}) == Train.read({"tokenizer": {"type": "bytes"}})


@pytest.mark.parametrize(
    ("path", "field"),
    [("train.data", "source"), ("train.objective", "type"), ("train.steps", ""), ("dims.x", ""), ("train.nothing", "")],
)
def test_a_value_alone_is_a_field(path: str, field: str) -> None:
    assert headline(tuple(path.split("."))) == field


def test_what_stands_alone_is_kept_where_a_field_beside_it_is_set() -> None:
    text = "tfdsl: 1\nname: m\ninputs: {x: {shape: [B, 4], dtype: float}}\nmodel: [linear: {from: x, width: 4}]\n"
    text += "train: {data: text.txt, objective: masked_token}\n"
    found = tfdsl.check(text, ["train.data.held_out=0.2", "train.objective.share=0.3"]).train
    assert (found.data, found.objective) == (
        Data.read({"source": "text.txt", "held_out": 0.2}),
        TypeAdapter(Objective).validate_python({"type": "masked_token", "share": 0.3}),
    )
