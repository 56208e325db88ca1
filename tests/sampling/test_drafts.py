"""Runs that write with drafts, by looking up and with beams: from Python and from the command line."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests import beside
from tfdsl import cli
from tfdsl.run import Run, open_run

PROMPT = "The quick brown fox jumps over the lazy dog.\nThe qu"
SHORT = {"length": 12, "overflow": "stop"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("drafts")
    beside.lay(folder)
    train = "tfdsl train {}.yaml -o {} --set train.steps={}"
    lines = [train.format("gpt", "run", 10), train.format("gpt", "small", 3) + " --set dims.d_model=32"]
    assert beside.run("\n".join([*lines, train.format("pairs", "pairs", 2)]), folder) == ""
    with chdir(folder):
        yield folder


def opened(folder: Path) -> Run:
    run, _ = open_run(folder)
    assert run is not None
    return run


def test_a_draft_is_a_run_or_its_folder(home: Path) -> None:
    run, small = opened(home / "run"), opened(home / "small")
    wanted = run.generate("The", greedy=True, **SHORT).texts()
    for draft in (small, home / "small", "small"):
        guessed = run.generate("The", greedy=True, draft=draft, **SHORT)
        assert guessed.texts() == wanted
        assert guessed.tally is not None and guessed.tally.guessed > 0
        assert guessed.chain == ("greedy, 8 guessed ahead",)
    assert run.generate("The", greedy=True, **SHORT).tally is None


def test_looking_up_writes_the_same_texts(home: Path) -> None:
    run = opened(home / "run")
    asked = ["The fox", "dog", "The fox"]
    told = {"n": 2, "logprobs": 1, "temperature": 0.5, "frequency_penalty": 0.3, "stop": ["z"], **SHORT}
    plain, guessed = run.generate(asked, **told), run.generate(asked, lookup=3, ahead=5, **told)
    by_row = sorted(guessed, key=lambda piece: piece.row)
    assert [piece.row for piece in by_row] == sorted(piece.row for piece in plain)
    assert guessed.texts() == plain.texts()
    assert guessed.chain == ("frequency_penalty 0.3", "temperature 0.5", "draw, 5 guessed ahead")


def test_the_best_of_beams_come_first(home: Path) -> None:
    run = opened(home / "run")
    found = run.generate(["The", "fox"], beams=3, n=2, banned=["e"], length=6)
    pieces = list(found)
    texts = found.texts()
    assert found.chain == ("banned 1 text", "beams 3")
    assert len(texts) == 4 and not any("e" in text for text in texts)
    assert [piece.row for piece in pieces] == [row for row in range(4) for _ in range(6)]
    assert [piece.end for piece in pieces] == [*[None] * 5, "length"] * 4
    assert run.generate("The", beams=1, length=6).texts() == run.generate("The", greedy=True, length=6).texts()


def test_an_answer_is_looked_up_in_its_source_and_found_by_beams(home: Path) -> None:
    run = opened(home / "pairs")
    asked = ["ace", "fade"]
    wanted = run.generate(asked, greedy=True, length=5).texts()
    assert run.generate(asked, greedy=True, length=5, lookup=2).texts() == wanted
    assert run.generate(asked, beams=1, length=5).texts() == wanted
    assert len(run.generate(asked, beams=3, n=3, length=5).texts()) == 6


def test_a_draft_that_reads_other_tokens_is_refused(home: Path) -> None:
    from tfdsl.faults import RunError

    run = opened(home / "run")
    with pytest.raises(RunError, match=r"R852.*writes a text for a source"):
        run.generate("The", draft="pairs")
    with pytest.raises(RunError, match="R706"):
        run.generate("The", draft="nowhere")


def test_the_command_line_says_what_guessing_was_worth(home: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    words = ["sample", "run", "--prompt", "The", "--length", "9", "--lookup", "2", "--verbose"]
    with redirect_stdout(out), redirect_stderr(err):
        cli.main(words)
    assert re.search(r"\d+ of \d+ guesses right \(\d+%\), \d\.\d\d tokens a read", err.getvalue())


def test_a_draft_that_does_not_fit_ends_a_conversation_before_its_first_line(home: Path) -> None:
    with redirect_stdout(io.StringIO()) as text, redirect_stderr(io.StringIO()) as said:
        assert cli.main(["sample", "run", "--chat", "--draft", "pairs"]) == 1
    assert text.getvalue() == "" and said.getvalue().count("error[R852]") == 1
