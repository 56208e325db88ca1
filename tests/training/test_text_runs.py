"""Runs of text objectives from end to end: built-in data, a measurement, and a run that is taken up again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import tfdsl
from tests.training import texts
from tfdsl.training import Subject, resume, train
from tfdsl.training.log import read
from tfdsl.training.subject import of

USUAL = (
    "steps=6",
    "batch=4",
    "threads=1",
    "precision=float32",
    "checkpoint.every=3",
    "evaluate.every=3",
    "evaluate.batches=1",
)
RUNS = {
    "seq2seq": ("transformer", {"data": "{source: dates, size: 60}", "evaluate.generate": "8"}, "exact match"),
    "masked_token": ("bert", {"data": "{source: TEXT}"}, "times the unigram baseline"),
    "span_corruption": ("t5", {"data": "{source: TEXT}", "context": "40"}, "accuracy"),
    "replaced_token": ("electra", {"data": "{source: TEXT}"}, "F1"),
    "next_token": ("gpt2", {"data": "{source: answers, size: 60}", "tokenizer": "bpe"}, "exact match"),
    "preference": ("gpt2", {"data": "{source: preferences, size: 60}", "tokenizer": "bpe"}, "margin"),
}


def prepared(objective: str, folder: Path) -> tuple[Subject, tfdsl.Checked]:
    """Return the small model of an objective, and its spec with the settings of a short run."""
    name, fields, _ = RUNS[objective]
    text = folder / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    given = {"objective": objective, **fields}
    settings = [f"train.{each}" for each in USUAL]
    settings += [f"train.{key}={value}".replace("TEXT", str(text)) for key, value in given.items()]
    checked = tfdsl.check(f"specs/{name}.yaml", texts.reduced(name, *settings))
    assert checked.ok, checked.diagnostics
    return replace(of(checked), trained=True), checked


@pytest.mark.parametrize("objective", RUNS)
def test_a_run_measures_and_goes_on_as_it_was(objective: str, tmp_path: Path) -> None:
    subject, checked = prepared(objective, tmp_path)
    outcome, problems = train(subject, checked.train, tmp_path / "run")
    assert outcome is not None, problems
    assert outcome.held_out is not None
    assert RUNS[objective][2] in outcome.held_out.figures
    whole = read(tmp_path / "run" / "log.jsonl")
    last = max((tmp_path / "run" / "checkpoints").glob("step-*"), key=lambda path: int(path.name.split("-")[1]))
    shutil.rmtree(last)
    again, problems = resume(subject, tmp_path / "run")
    assert again is not None, problems
    known = ("loss", "held_out", "figures")
    kept = [{key: entry[key] for key in known if key in entry} for entry in whole]
    assert [
        {key: entry[key] for key in known if key in entry} for entry in read(tmp_path / "run" / "log.jsonl")
    ] == kept
