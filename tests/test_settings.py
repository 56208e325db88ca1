"""The `train` and `sample` sections: what they take, what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

import tfdsl
from tfdsl import checking, document
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
        ({"parallel": "fsdp", "optimizer": "adafactor"}, ("parallel",)),
        ({"objective": "replaced_token", "z_loss": 1e-4}, ("z_loss",)),
        ({"objective": "classify", "z_loss": 1e-4}, ("z_loss",)),
        ({"objective": "contrastive", "z_loss": 1e-4}, ("z_loss",)),
        ({"evaluate": {"min_delta": 0.1}}, ("evaluate", "min_delta")),
        ({"evaluate": {"generate": 9}}, ("evaluate", "generate")),
        ({"schedule": {"type": "linear", "minimum": 0.1}}, ("schedule", "minimum")),
        ({"optimizer": {"groups": [{"match": "a", "lr": 2}, {"match": "b"}]}}, ("optimizer", "groups", 1)),
        ({"objective": "preference", "label_smoothing": 0.1}, ("label_smoothing",)),
        ({"schedule": {"type": "constant", "minimum": 0}}, ("schedule", "minimum")),
        ({"schedule": {"warmup": 2.5}}, ("schedule",)),
        ({"optimizer": {"type": "sgd", "momentum": 0, "nesterov": True}}, ("optimizer",)),
        ({"optimizer": {"groups": [{"match": "a", "freeze": True, "lr": 1}]}}, ("optimizer", "groups", 0)),
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


def test_a_bare_type_keeps_its_word_beside_fields_that_are_set(tmp_path: Path) -> None:
    """`optimizer: muon` with `train.optimizer.lr=2` is muon with that rate, from a file below and from outside."""
    shape = "inputs: {x: {shape: [B, T], vocab: 9}}\nmodel: [{embed: {from: x, width: 8}}]\n"
    (tmp_path / "base.yaml").write_text(f"tfdsl: 1\nname: a\n{shape}train: {{optimizer: muon, schedule: wsd}}\n")
    (tmp_path / "own.yaml").write_text("extends: base.yaml\nname: b\ntrain: {schedule: {warmup: 7}}\n")
    train = checking.run(document.gather(tmp_path / "own.yaml", ["train.optimizer.lr=2"])).train
    assert (train.optimizer.type_name, train.optimizer.lr) == ("muon", 2)
    assert (train.schedule.type_name, train.schedule.warmup) == ("wsd", 7)
    whole = checking.run(document.gather(tmp_path / "own.yaml", ["train.schedule=constant"])).train
    assert (whole.schedule.type_name, whole.schedule.warmup) == ("constant", "auto")


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


@pytest.mark.parametrize("change", ["train.optimizer.type=muon", "train.optimizer={type: muon}"])
def test_of_another_type_what_has_no_meaning_goes(change: str, tmp_path: Path) -> None:
    """`betas` are AdamW's own, and `lr` is of both; what no type knows is still refused."""
    head = "tfdsl: 1\nname: m\ninputs: {x: {shape: [B, 4], dtype: float}}\nmodel: [linear: {from: x, width: 4}]\n"
    text = head + "train: {optimizer: {lr: 2e-3, betas: [0.9, 0.99], groups: [{match: '*', lr: 2}]}}\n"
    optimizer = tfdsl.check(text, [change]).train.optimizer
    assert (optimizer.type_name, optimizer.lr, len(optimizer.groups)) == ("muon", 2e-3, 1)
    assert optimizer.model_fields_set == {"lr", "groups"}
    (tmp_path / "base.yaml").write_text(text)
    own = "extends: base.yaml\ntrain: {optimizer: {type: muon}}\n"
    (tmp_path / "own.yaml").write_text(own)
    assert checking.run(document.gather(tmp_path / "own.yaml")).train.optimizer == optimizer
    wrong = tfdsl.check(text.replace("betas", "beta"), [change])
    assert [each.code for each in wrong.diagnostics] == ["D102"]
    same = tfdsl.check(text, ["train.optimizer.type=adamw"]).train.optimizer
    assert same.model_fields_set == {"lr", "groups", "betas"}


@pytest.mark.parametrize(
    ("change", "message", "help_"),
    [
        ("train.compile=yes", "unknown `compile`: `yes`", "did you mean `true`?"),
        ("train.compile=often", "unknown `compile`: `often`", "there are `auto`, `true` and `false`"),
        ("train.recompute=off", "unknown `recompute`: `off`", "there are `none` and `blocks`"),
        ("train.report=[tensorboard, wand]", "unknown `report`: `wand`", "did you mean `wandb`?"),
        ("train.optimizer.betas=[0.9]", "the list ends too soon: it has 1 of its values", ""),
    ],
)
def test_words_and_lists_are_told_by_their_names(change: str, message: str, help_: str) -> None:
    head = "tfdsl: 1\nname: m\ninputs: {x: {shape: [B, 4], dtype: float}}\nmodel: [linear: {from: x, width: 4}]\n"
    found = tfdsl.check(head, [change]).diagnostics
    assert [(each.message, each.help) for each in found] == [(message, help_)]


def test_sample_survives_a_run_folder() -> None:
    chosen = Sample.read(
        {"logit_bias": {" the": 2, 13: -1}, "banned": ["x", 7, [1, 2]], "stop": "y", "ahead": 3, "lookup": 4}
    )
    assert Sample.model_validate(json.loads(json.dumps(chosen.model_dump(mode="json", exclude_unset=True)))) == chosen


@pytest.mark.parametrize("highest", [1e-3, 1e-4])
def test_a_range_that_does_not_rise_is_refused(highest: float) -> None:
    with pytest.raises(ValidationError, match="which is no rise"):
        Train.model_validate({"find_lr": {"lowest": 1e-3, "highest": highest}})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.find_lr.lowest=4*d_model", [("D129", "give a `lowest` below `highest`")]),
        ("train.find_lr.lowest=d_model/1e6", []),
        ("train.objective={type: masked_token, masked: d_model/4, random: d_model/8}", [("R794", "")]),
        ("train.schedule.minimum=d_model/1000", [("D129", "give a `minimum` of at most `optimizer.lr`")]),
        ("train.schedule.minimum=d_model/1e5", []),
    ],
)
def test_settings_that_hang_on_each_other_may_be_formulas(change: str, said: list[tuple[str, str]]) -> None:
    text = "tfdsl: 1\nname: m\ndims: {d_model: 4}\ninputs: {x: {shape: [B, 4], dtype: float}}\n"
    text += "model: [linear: {from: x, width: d_model}]\ntrain: {objective: masked_token}\n"
    found = tfdsl.check(text, [change])
    assert [(each.code, each.help) for each in found.diagnostics] == said
    assert all(each.label == "" for each in found.diagnostics)


@pytest.mark.parametrize("change", [None, "train.data.fields=null"])
def test_null_takes_an_inherited_setting_away(change: str | None, tmp_path: Path) -> None:
    """Of whatever type it is: as if nobody had said it."""
    shape = "inputs: {x: {shape: [B, T], vocab: 9}}\nmodel: [{embed: {from: x, width: 8}}]\n"
    said = "train: {minutes: 3, steps: 7, data: {source: a.jsonl, fields: {source: in, target: out}}}\n"
    (tmp_path / "base.yaml").write_text(f"tfdsl: 1\nname: a\n{shape}{said}")
    gone = "" if change else "data: {fields: null}, "
    (tmp_path / "own.yaml").write_text(f"extends: base.yaml\nname: b\ntrain: {{{gone}minutes: null, steps: null}}\n")
    gathered = document.gather(tmp_path / "own.yaml", [change] if change else [])
    train = checking.run(gathered).train
    assert (train.data, train.minutes, train.steps) == (Data.read({"source": "a.jsonl"}), None, 2000)
    alone = f"tfdsl: 1\nname: a\n{shape}train: {{steps: null}}\n"
    assert [each.code for each in tfdsl.check(alone).diagnostics] != []  # null is of no use where nothing is inherited
