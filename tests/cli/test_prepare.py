"""tfdsl prepare: a spec's data, or text without a spec; then a run trains from what was written."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest

from tests import beside
from tfdsl import cli
from tfdsl.data import manifest


@pytest.fixture
def here(tmp_path: Path) -> Path:
    beside.lay(tmp_path)
    return tmp_path


def run(here: Path, *words: str) -> int:
    with chdir(here):
        return cli.main(list(words))


def test_prepared_data_are_trained_from(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(here, "prepare", "gpt.yaml", "-o", "made", "--workers", "1") == 0
    assert capsys.readouterr().out == (
        "made: 1 example (1,620 tokens) to train on, 1 example (180 tokens) held out\n"
        "  made/tokenizer.json              256 tokens\n"
        "next: tfdsl train SPEC --data made\n"
    )
    assert run(here, "train", "gpt.yaml", "-o", "b", "--data", "made") == 0
    assert '"loss"' in (here / "b/log.jsonl").read_text()
    assert manifest.opened(here / "b/data").digest == manifest.opened(here / "made").digest


def test_text_is_prepared_without_a_spec(here: Path) -> None:
    words = ("prepare", "text.txt", "--tokenizer", "bpe", "--vocab-size", "260", "-o", "made", "--workers", "1")
    assert run(here, *words) == 0
    found = manifest.opened(here / "made")
    assert found.tokenizer is not None and found.tokenizer.get_vocab_size() == 260


def test_settings_of_the_data_build_on_what_data_names(here: Path) -> None:
    words = ("prepare", "gpt.yaml", "--data", "text.txt", "--set", "train.data.held_out=1/2", "-o", "made")
    assert run(here, *words, "--workers", "1") == 0
    assert len(manifest.opened(here / "made").held_out.columns["text"].values) == 900


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("text.txt", "--tokenizer", "bpe"), 2, "say how many tokens `bpe` may make, such as --vocab-size 8192"),
        (("text.txt", "--tokenizer", "bites"), 2, "`bites` is neither a file nor one of bytes, characters"),
        (("text.txt", "--tokenizer", "bytes", "--vocab-size", "9"), 2, "--vocab-size belongs to a vocabulary"),
        (("text.txt", "--tokenizer", "bytes", "--data", "x"), 2, "with --tokenizer there is no spec"),
        (("none.txt", "--tokenizer", "bytes"), 1, "error[R702]: there is nothing at `none.txt`"),
        (("gpt.yaml", "--data", "none.txt"), 1, " --> --set train.data=none.txt:1:12"),
        (("text.txt", "--tokenizer", "bytes", "-o", "llama"), 2, "`llama` is already there, and is left as it is"),
    ],
)
def test_what_cannot_be_prepared_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert run(here, "prepare", *words, *(() if "-o" in words else ("-o", "made"))) == code
    assert said in capsys.readouterr().err
    assert not (here / "made").exists()
