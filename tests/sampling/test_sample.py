"""From a run folder to text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.training.gpt import GPT
from tests.training.runs import LETTERS, chosen, subject
from tfdsl.diagnostics import Diagnostic
from tfdsl.run import Run, open_run
from tfdsl.sampling import Author, Decoder, Generation, begin
from tfdsl.settings import Sample
from tfdsl.training import train


def start(run: Run, sample: Sample, build: Callable[[], Any]) -> tuple[Generation | None, list[Diagnostic]]:
    return begin(Author(Decoder(run.model(build)), run.tokenizer, 260, run.context), sample, [sample.prompt])


def build() -> GPT:
    return GPT(LETTERS)


def test_a_trained_model_writes_what_it_read(tmp_path: Path) -> None:
    train(subject(dropout=0.0), chosen(tmp_path, steps=150), tmp_path / "run", sample=Sample(prompt="the q"))
    run, problems = open_run(tmp_path / "run")
    assert problems == []
    assert run is not None
    assert (run.name, run.spec, run.context, run.sample.prompt) == ("small", "tfdsl: 1\n", 16, "the q")
    settings = run.sample.model_copy(update={"length": 6, "greedy": True})
    text, notes = start(run, settings, build)
    assert notes == []
    assert text is not None
    assert "".join(text.texts()) == "uick b"


def test_an_unknown_character_and_an_empty_prompt_are_told(tmp_path: Path) -> None:
    train(subject(), chosen(tmp_path, steps=1), tmp_path / "run")
    run, _ = open_run(tmp_path / "run")
    assert run is not None
    for prompt, code, message in (
        ("THE fox", "R711", "the prompt holds characters that the model never saw: 'E', 'H', 'T'"),
        ("", "R712", "the prompt is empty"),
    ):
        text, problems = start(run, Sample(prompt=prompt), build)
        assert text is None
        assert [(p.code, p.message) for p in problems] == [(code, message)]


def test_a_text_longer_than_the_context_is_told(tmp_path: Path) -> None:
    train(subject(), chosen(tmp_path, steps=1), tmp_path / "run")
    run, _ = open_run(tmp_path / "run")
    assert run is not None
    helps = []
    lengths = []
    for overflow in ("slide", "stop"):
        settings = Sample.model_validate({"prompt": "the", "length": 40, "overflow": overflow})
        text, notes = start(run, settings, build)
        assert [(n.code, n.message) for n in notes] == [
            ("I671", "3 tokens of prompt and 40 more do not fit the model's 16 positions")
        ]
        assert text is not None
        helps.append(notes[0].help)
        lengths.append(len("".join(text.texts())))
    assert lengths == [40, 14]
    assert helps == [
        "each time they are full, the newest 8 are read again and the rest is forgotten",
        "the text ends when they are full, after 14 tokens; `overflow: slide` goes on",
    ]


def test_an_empty_prompt_of_pairs_begins_a_document(tmp_path: Path) -> None:
    settings = chosen(tmp_path, steps=1, tokenizer={"type": "bpe", "vocab_size": 260})
    train(subject(vocab=260), settings, tmp_path / "run")
    run, _ = open_run(tmp_path / "run")
    assert run is not None
    text, notes = start(run, Sample(prompt="", length=3), lambda: GPT(260))
    assert notes == []
    assert text is not None
    assert "".join(text.texts())
