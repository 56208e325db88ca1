"""What is wrong between text, tokenizer and model is said before the first step, and nothing is written."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.runs import LETTERS, chosen, subject
from tfdsl.diagnostics import Span
from tfdsl.training import Subject, resume, train


def place(path: str) -> Span:
    return Span(path, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("fields", "made", "expected"),
    [
        (
            {"objective": "seq2seq"},
            subject(),
            (
                "R710",
                "`seq2seq` wants a model of two inputs of tokens, [B, S] and [B, T], that gives logits [B, T, V]",
                "inputs",
            ),
        ),
        ({"data": None}, subject(), ("R702", "there is nothing to train on: `train.data` is not given", "train")),
        ({"data": "/nowhere"}, subject(), ("R702", "there is nothing at `/nowhere`", "train.data.source")),
        (
            {},
            subject(vocab=20),
            ("R704", f"the tokenizer makes {LETTERS} tokens, the model takes 20", "train.tokenizer"),
        ),
        (
            {"context": 17},
            subject(),
            ("R705", "sequences of 17 tokens do not fit the model's 16 positions", "train.context"),
        ),
        (
            {"context": 800},
            subject(context=None),
            ("R708", "the text has 1,584 tokens to train on and 176 held out", "train.context"),
        ),
    ],
)
def test_a_mistake_is_said_at_its_place(
    tmp_path: Path, fields: dict[str, Any], made: Subject, expected: tuple[str, str, str]
) -> None:
    outcome, problems = train(replace(made, where=place), chosen(tmp_path, **fields), tmp_path / "run")
    assert outcome is None
    assert [(p.code, p.message, p.span and p.span.file) for p in problems] == [expected]
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    train(subject(), chosen(tmp_path, steps=1), tmp_path / "run")
    outcome, problems = train(subject(), chosen(tmp_path, steps=1), tmp_path / "run")
    assert outcome is None
    assert [(p.code, p.message) for p in problems] == [("R707", f"`{tmp_path / 'run'}` already holds a run")]


def test_only_a_run_can_be_taken_up(tmp_path: Path) -> None:
    outcome, problems = resume(subject(), tmp_path)
    assert outcome is None
    assert [(p.code, p.message) for p in problems] == [
        ("R706", f"`{tmp_path}` is no run folder: `settings.json` is missing")
    ]


def test_damaged_settings_are_a_sentence(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(subject(), chosen(tmp_path, steps=1), run)
    for text in (b"{", b"[1]", b'{"train": {"steps": "many"}}', b'{"train": 3}', b"\xff"):
        (run / "settings.json").write_bytes(text)
        outcome, problems = resume(subject(), run)
        assert outcome is None
        message = f"`{run}` is no run folder: `settings.json` is damaged: its settings are none of a run"
        assert [(p.code, p.message) for p in problems] == [("R706", message)]
