"""`tfdsl fill`, `classify`, `embed`, `score`: what would not be honoured is refused, and what is not read is told."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.reading.models import CLASSES, GPT, PICTURES, WORDS, kept
from tfdsl import RunError, cli
from tfdsl.run import Run

TEXTS = "the model reads texts"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Return runs of random weights by what they can be asked."""
    folder = tmp_path_factory.mktemp("runs")
    vectors = CLASSES.replace("scores", "vector").replace("classify", "contrastive")
    image = {"mean": [100.0], "deviation": [50.0]}
    return {
        "fill": kept(folder / "words", WORDS),
        "score": kept(folder / "gpt", GPT),
        "classify": kept(folder / "classes", CLASSES, labels=["cat", "dog", "cow"]),
        "embed": kept(folder / "vectors", vectors),
        "pictures": kept(folder / "pictures", PICTURES, image=image),
    }


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("L", (4, 4)).save("one.png")
    Path("some.jsonl").write_text('{"text": "a", "label": "cat"}\n{"text": "b", "label": "bird"}\n')
    Path("empty.txt").touch()


def said(capfd: pytest.CaptureFixture[str], run: Run, *arguments: str) -> tuple[int, str]:
    """Return the exit code and the remarks of a command."""
    code = cli.main([arguments[0], str(run.folder), *arguments[1:]])
    return code, capfd.readouterr().err


@pytest.mark.parametrize("option", ["--mean", "--deviation", "--size"])
@pytest.mark.parametrize("command", ["classify", "embed"])
def test_how_images_are_read_is_no_matter_of_texts(
    runs: dict[str, Run], command: str, option: str, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = f"tfdsl: --mean, --deviation and --size say how images are read, and {TEXTS}\n"
    assert said(capfd, runs[command], command, "a", option, "3") == (2, refused)


def test_an_image_has_no_second_text(runs: dict[str, Run], capfd: pytest.CaptureFixture[str]) -> None:
    refused = "tfdsl: --second is the second of a pair of texts, and the model reads images\n"
    assert said(capfd, runs["pictures"], "classify", "one.png", "--second", "b") == (2, refused)
    assert said(capfd, runs["pictures"], "classify", "one.png") == (0, "")
    code, refused = said(capfd, runs["classify"], "classify", "-", "--second", "b")
    assert code == 2 and "give one text before it" in refused


@pytest.mark.parametrize("command", ["classify", "embed"])
def test_the_name_of_a_file_is_no_text(runs: dict[str, Run], command: str, capfd: pytest.CaptureFixture[str]) -> None:
    refused = f"tfdsl: `one.png` is an image, and {TEXTS}\n"
    assert said(capfd, runs[command], command, "one.png") == (2, refused)
    code, note = said(capfd, runs[command], command, "some.jsonl", "--json")
    assert (code, note) == (
        0,
        "`some.jsonl` is a file, and these words themselves are read: --file reads what it holds\n",
    )
    assert said(capfd, runs[command], command, "none.png", "--json") == (0, "")


def test_a_class_that_the_model_does_not_have_is_told(runs: dict[str, Run], capfd: pytest.CaptureFixture[str]) -> None:
    code, note = said(capfd, runs["classify"], "classify", "--file", "some.jsonl")
    assert (code, note) == (
        0,
        "warning[W609]: the model has no such class as `bird`, so what is of it counts as wrong\n"
        "help: its classes are `cat`, `dog`, `cow`\n",
    )


def test_another_question_is_told_what_the_run_answers(runs: dict[str, Run], capfd: pytest.CaptureFixture[str]) -> None:
    for run, command, answers in (
        ("fill", "classify", "`tfdsl fill` or `tfdsl score`"),
        ("score", "embed", "`tfdsl sample` or `tfdsl score`"),
        ("classify", "fill", "`tfdsl classify`"),
        ("embed", "score", "`tfdsl embed`"),
    ):
        code, told = said(capfd, runs[run], command, "a")
        assert code == 1 and f"help: ask this run with {answers}\n" in told


def test_no_text_is_not_scored(
    runs: dict[str, Run], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    for name, refused in (
        ("", "the text is empty: give one, a file, or some on standard input"),
        ("-", "standard input holds no text"),
        ("empty.txt", "`empty.txt` holds no text"),
        (".", "`.` is a folder: name a file in it"),
    ):
        assert said(capfd, runs["score"], "score", name) == (2, f"tfdsl: {refused}\n")


def test_what_cannot_be_read_is_left_aside(runs: dict[str, Run], capfd: pytest.CaptureFixture[str]) -> None:
    def answers(*arguments: str) -> tuple[int, list[str], str]:
        code = cli.main([arguments[0], str(runs[arguments[0]].folder), *arguments[1:]])
        shown = capfd.readouterr()
        return code, [json.loads(line).get("input", "") for line in shown.out.splitlines()], shown.err

    Path("in.jsonl").write_text('{"text": "one"}\n{"text": 3}\n{"text": "two"}\n')
    for command in ("classify", "embed"):
        code, names, remarks = answers(command, "--file", "in.jsonl", "--json")
        assert (code, names) == (1, ["one", "two"]) and "line 2 of `in.jsonl`" in remarks
        code, names, remarks = answers(command, "one", "\ud800", "two", "--json")
        assert (code, names) == (1, ["one", "two"]) and "error[R831]: text 2 holds half" in remarks
    code, names, remarks = answers("score", "one", "\ud800", "two", "--json")
    assert (code, names) == (1, ["one", "two"]) and "error[R831]: text 2 holds half" in remarks
    Path("in.jsonl").write_text('{"text": "one [MASK]"}\n{"text": 3}\nno\n{"text": "two [MASK]"}\n')
    for command in ("fill", "score"):
        code, names, remarks = answers(command, *(["--file"] if command == "fill" else []), "in.jsonl", "--json")
        assert (code, len(names)) == (1, 2)
        assert remarks == (
            "tfdsl: line 2 of `in.jsonl` is no mapping with a text as `text`, and is left out\n"
            "tfdsl: line 3 of `in.jsonl` is not JSON, and is left out\n"
        )
    Path("in.txt").write_text("a [MASK]\nnone\n[MASK] b\n")
    code, names, remarks = answers("fill", "--file", "in.txt", "--json")
    assert (code, len(names)) == (1, 2) and "error[R834]: text 2 has no mask: 'none'" in remarks


def test_images_that_cannot_be_read_are_left_aside(runs: dict[str, Run], capfd: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (5, 5)).save("large.png")
    Path("bad.png").write_bytes(b"no image")
    code = cli.main(
        ["classify", str(runs["pictures"].folder), "bad.png", "one.png", "large.png", "none.png", "one.png"]
    )
    shown = capfd.readouterr()
    assert code == 1 and shown.out.count("one.png") == 2 and shown.out.count("\n") == 2
    assert [line for line in shown.err.splitlines() if line.startswith("error")] == [
        "error[R744]: `bad.png` is no image that can be read",
        "error[R744]: `none.png` cannot be read: no such file or directory",
        "error[R805]: `large.png` is 3 × 5 × 5, the model takes 3 × 4 × 4",
    ]


def test_weights_are_said_and_a_model_of_masked_words_is_scored(
    runs: dict[str, Run], capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["score", str(runs["fill"].folder), "abc", "d"]) == 0
    shown = capfd.readouterr().out.splitlines()
    assert all("pseudo-perplexity" in line and "bits" not in line for line in shown) and "1 token " in shown[1]
    assert cli.main(["score", str(runs["score"].folder), "abc", "--weights", "bfloat16", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["weights"] == "bfloat16" and told["tokens"] == 2
    Path("t.jsonl").write_text('{"text": ""}\n{"text": "ab"}\n')
    assert cli.main(["score", str(runs["score"].folder), "t.jsonl", "--json"]) == 0
    first = json.loads(capfd.readouterr().out.splitlines()[0])
    assert (first["loss"], first["perplexity"], first["tokens"]) == (None, None, 0)


def test_vectors_are_counted(runs: dict[str, Run], capfd: pytest.CaptureFixture[str]) -> None:
    assert said(capfd, runs["embed"], "embed", "a", "-o", "v.npy") == (0, "v.npy: 1 vector of 3 numbers\n")
    assert said(capfd, runs["embed"], "embed", "a", "b") == (0, "cosines between 2 vectors of 3 numbers\n")
    assert "one vector of 3 numbers" in said(capfd, runs["embed"], "embed", "a")[1]
    assert said(capfd, runs["embed"], "embed", "a", "--top", "2")[0] == 2
    assert said(capfd, runs["embed"], "embed", "a", "b", "-o", "v.npy")[1] == "v.npy: 2 vectors of 3 numbers\n"


@pytest.mark.parametrize("given", [[], 3, [3], np.zeros(2), [None], [("a", "b", "c")], [("a", 3)]], ids=str)
def test_from_python_too_what_is_no_text_is_told(runs: dict[str, Run], given: object) -> None:
    for ask in (runs["fill"].fill, runs["classify"].classify, runs["embed"].embed, runs["score"].score):
        with pytest.raises(RunError, match="R836"):
            ask(given)  # type: ignore[operator, arg-type]
    with pytest.raises(RunError, match="R836|R744"):
        runs["pictures"].classify(given)  # type: ignore[arg-type]


def test_no_answer_at_all_is_not_asked_for(runs: dict[str, Run]) -> None:
    for top in (0, -1):
        with pytest.raises(RunError, match=f"R836.*top. is {top}"):
            runs["fill"].fill("a [MASK]", top=top)
        with pytest.raises(RunError, match=f"R836.*top. is {top}"):
            runs["classify"].classify("a", top=top)
    assert len(runs["fill"].fill(("a [MASK]", "[MASK] b"))) == 2
    assert len(runs["classify"].classify(each for each in "ab")) == 2  # type: ignore[arg-type]


def test_what_is_empty_is_not_read_and_vectors_are_written_to_an_array(
    runs: dict[str, Run], capfd: pytest.CaptureFixture[str]
) -> None:
    for command in ("classify", "embed"):
        code, remarks = said(capfd, runs[command], command, "")
        assert code == 1 and "the text is empty" in remarks
    code, remarks = said(capfd, runs["embed"], "embed", "a", "-o", "v.txt")
    assert code == 2 and "end the name in .npy" in remarks and not Path("v.txt").exists()
    assert said(capfd, runs["embed"], "embed", "a", "-o", "v.npy")[0] == 0
