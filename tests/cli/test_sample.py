"""`tfdsl sample`: prompts from everywhere, text and JSON, talk, and every way in which it can be cut short."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import tfdsl
from tests.sampling.written import run
from tfdsl import cli, settings
from tfdsl.cli import writing
from tfdsl.sampling.talk import Talk

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of random weights."""
    return run(tmp_path_factory.mktemp("run") / "run").folder


class Piped(io.TextIOWrapper):
    """A standard input that holds a text."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(io.BytesIO(text if isinstance(text, bytes) else text.encode()), encoding="utf-8")


def say(capfd: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Return the exit code, the output and the remarks of a command."""
    code = cli.main(["sample", str(folder), *arguments])
    shown = capfd.readouterr()
    return code, shown.out, shown.err


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_one_text_comes_behind_its_prompt(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    code, text, remarks = say(capfd, folder, "--prompt", "abc", "--length", "5", "--greedy", "--verbose")
    assert code == 0 and text.startswith("abc") and text.endswith("\n")
    first, second = remarks.splitlines()
    assert first == "greedy"
    assert second.startswith("5 tokens in ") and " a second, the first after " in second and "MiB" in second


def test_several_texts_have_numbers(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    asked = ["--prompt", "abc", "--prompt", "d", "--length", "2", "--forced", "xy"]
    assert say(capfd, folder, *asked)[1] == "[1] abcxy\n[2] dxy\n"
    assert say(capfd, folder, *asked, "--n", "2")[1] == "[1.1] abcxy\n[1.2] abcxy\n[2.1] dxy\n[2.2] dxy\n"
    code, text, _ = say(capfd, folder, *asked, "--logprobs", "1")
    assert code == 0 and text.splitlines()[0] == "[1] abcxy" and text.splitlines()[1].split()[1:3] == ['"x"', "of"]


def test_json_is_an_object_a_text(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    asked = ["--prompt", "ab", "--prompt", "c", "--n", "2", "--length", "3", "--seed", "5", "--json", "--logprobs", "2"]
    found = objects(say(capfd, folder, *asked, "--top-k", "9")[1])
    assert sorted((each["index"], each["sample"], each["seed"]) for each in found) == [
        (0, 0, 5), (0, 1, 6), (1, 0, 5), (1, 1, 6),
    ]  # fmt: skip
    for each in found:
        assert each["prompt"] == ["ab", "c"][each["index"]]
        assert each["end"] in ("length", "end") and each["chain"] == ["temperature 1", "top_k 9", "draw"]
        assert [log["token"] for log in each["logprobs"]] == each["tokens"]
        assert all(len(log["likeliest"]) == 2 for log in each["logprobs"])
    alone = objects(say(capfd, folder, "--prompt", "c", "--length", "3", "--seed", "6", "--json", "--top-k", "9")[1])
    assert alone[0]["text"] == next(each["text"] for each in found if (each["index"], each["sample"]) == (1, 1))


def test_prompts_come_from_files_and_from_standard_input(
    capfd: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("one\n\ntwo é\n")
    short = ["--length", "2", "--forced", "xy"]
    assert say(capfd, folder, "--prompts", str(texts), *short)[1] == "[1] onexy\n[2] two éxy\n"
    monkeypatch.setattr(sys, "stdin", Piped("one\ntwo\n"))
    assert say(capfd, folder, "--prompts", "-", *short)[1] == "[1] onexy\n[2] twoxy\n"
    monkeypatch.setattr(sys, "stdin", Piped("one\ntwo\n"))
    assert say(capfd, folder, "--prompt", "-", *short)[1] == "one\ntwo\nxy\n"
    lines = tmp_path / "lines.jsonl"
    said = [{"role": "user", "content": "hi"}]
    lines.write_text(json.dumps({"prompt": "p", "forced": "z", "length": 1}) + "\n" + json.dumps({"messages": said}))
    found = objects(say(capfd, folder, "--prompts", str(lines), *short, "--json")[1])
    assert [(each["index"], each["prompt"], each["text"]) for each in found] == [
        (0, "p", "z"),
        (1, "user: hi\nassistant: ", "xy"),
    ]


def test_a_conversation_goes_on(
    capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--chat", "--length", "4", "--forced", "ok\nu", "--json", "--context", "64"]
    monkeypatch.setattr(sys, "stdin", Piped("a\n\nbc\n" + "d" * 30 + "\n"))
    code, text, _ = say(capfd, folder, *asked)
    assert code == 0
    assert [(each["prompt"], each["text"]) for each in objects(text)] == [
        ("a", "ok\nu"), ("bc", "ok\nu"), ("d" * 30, "ok\nu"),
    ]  # fmt: skip


def test_a_conversation_outlives_a_line_that_is_no_text_and_tells_a_note_once(
    capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"a\n\xff\nbc\nd\n"))
    code, text, remarks = say(capfd, folder, "--chat", "--length", "30", "--json", "--greedy")
    assert code == 0 and [each["prompt"] for each in objects(text)] == ["a", "bc", "d"]
    assert "that line is no text in UTF-8" in remarks and remarks.count("I671") == 1


def test_an_interrupt_stops_an_answer_and_behind_the_prompt_the_conversation(
    capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said so far is kept, and read anew: the next answer is that of a conversation which never stopped."""
    asked = ["--chat", "--length", "5", "--greedy", "--min-length", "5", "--context", "64"]
    echo, shown = writing.Said._echo, list[str]()

    def stopping(said: writing.Said, text: str) -> None:
        shown.append(text)
        if len(shown) == 3:
            raise KeyboardInterrupt
        echo(said, text)

    monkeypatch.setattr(writing.Said, "_echo", stopping)
    monkeypatch.setattr(writing, "typed", lambda: True)
    monkeypatch.setattr(sys, "stdin", Piped("a\nb\n"))
    code, _, remarks = say(capfd, folder, *asked)
    assert code == 0 and remarks.count("stopped: Ctrl-C") == 1
    assert remarks.endswith("user: \n")
    talk = Talk(tfdsl.open_run(folder).author(), settings.Sample(length=5, min_length=5, greedy=True, context=64))
    talk.messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "".join(shown[:3])}]
    generation, _ = talk.answer("b")
    assert generation is not None and generation.texts() == ["".join(shown[3:])] and len(talk.messages) == 3
    talk.broken("")
    assert [each["content"] for each in talk.messages] == ["a", "".join(shown[:3])]
    monkeypatch.setattr(writing, "typed", lambda: False)
    shown.clear()
    monkeypatch.setattr(sys, "stdin", Piped("a\nb\n"))
    assert say(capfd, folder, *asked)[0] == 130


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--context", "65"], "R813"), (["--stop", "#300"], "R811"), (["--logit-bias", "ox=1"], "R812")],
    ids=str,
)
def test_what_holds_for_every_line_ends_a_conversation(
    capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped("a\nb\n"))
    code, text, remarks = say(capfd, folder, "--chat", *arguments)
    assert code == 1 and text == "" and remarks.count(f"error[{said}]") == 1


def test_a_token_is_said_by_its_number(capfd: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    short = ["--prompt", "a", "--length", "2"]
    assert say(capfd, folder, *short, "--forced", "#84", "--forced", "84"[:1])[1] == "aT8\n"
    assert say(capfd, folder, *short, "--forced", "xT", "--stop", "#84")[1] == "ax\n"
    assert say(capfd, folder, *short, "--greedy", "--logit-bias", "#84=1e9")[1] == "aTT\n"
    only = [f"--banned=#{token}" for token in range(257) if token != 84]
    assert say(capfd, folder, *short, *only)[1] == "aTT\n"
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"prompt": "a", "logit_bias": {"#84": 1e9}, "length": 2, "greedy": true}\n')
    assert say(capfd, folder, "--prompts", str(lines))[1] == "aTT\n"
    lines.write_text('{"prompt": "a", "forced": ["x", "#84"], "banned": "#85", "stop": ["#84"], "length": 4}\n')
    (found,) = objects(say(capfd, folder, "--prompts", str(lines), "--json", "--logprobs", "0")[1])
    assert (found["text"], found["end"], found["tokens"]) == ("x", "stop", [120, 84])  # the one that ended it too
    assert [each["token"] for each in found["logprobs"]] == [120, 84]
    helped = cli.main(["sample", "--help"]), capfd.readouterr().out
    assert helped[0] == 0 and helped[1].count("#84") == 4


def test_a_prompt_of_a_vocabulary_that_was_made_holds_no_mark(folder: Path) -> None:
    """As in training, and as `score` reads it; what is banned, forced or weighed may be a mark by its name."""
    made = tfdsl.open_run(folder)
    (start,) = made.generate("<|end|>x", length=1).starts
    assert list(start) == made.trained().tokens(["<|end|>x"])[0].tolist() == list(b"<|end|>x")
    assert made.generate("a", length=1, forced=["<|end|>"]).plan.stages[0].name == "forced 1 token"


def test_files_that_do_not_belong_together_are_told(
    capfd: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    for change, said in (
        (("tfdsl: 1", "tfdsl: 2"), "is no sound spec: it was changed, or is of another version of tfdsl"),
        (("width: 16", "width: 32"), "are not those of its `spec.yaml`: "),
    ):
        shutil.copytree(folder, tmp_path / said[:5])
        spec = tmp_path / said[:5] / "spec.yaml"
        assert change[0] in spec.read_text()
        spec.write_text(spec.read_text().replace(*change))
        for command in (["sample", "--prompt", "a"], ["score", "ab"]):
            code = cli.main([command[0], str(spec.parent), *command[1:]])
            shown = capfd.readouterr().err
            assert code == 1 and shown.startswith("warning[W633]") and "error[R706]" in shown and said in shown


def test_json_among_lines_of_text_is_told(
    capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped('a\n{"prompt": "b"}\n'))
    code, text, remarks = say(capfd, folder, "--prompts", "-", "--length", "2", "--forced", "xy")
    assert code == 1 and text == "[1] axy\n"
    assert "error[R816]: line 2 of standard input is a JSON object, and the first line is a text" in remarks
    monkeypatch.setattr(sys, "stdin", Piped("a\n{x}\n"))
    assert say(capfd, folder, "--prompts", "-", "--length", "2", "--forced", "xy")[1] == "[1] axy\n[2] {x}xy\n"


def test_prompts_that_cannot_be_read_are_left_aside(
    capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ['{"prompt": "a"}', "b", '{"prompt": "c"}', '{"prompt": "' + "d" * 99 + '"}', '{"prompt": "e", "n": 2}']
    monkeypatch.setattr(sys, "stdin", Piped("\n".join(said)))
    short = ["--length", "2", "--overflow", "stop", "--context", "64"]
    code, text, remarks = say(capfd, folder, "--prompts", "-", *short, "--json")
    assert code == 1 and "line 2 of standard input is no JSON" in remarks
    assert "error[R815]: prompt 4 has 99 tokens, and the model reads 64 positions" in remarks
    assert sorted((each["index"], each["prompt"]) for each in objects(text)) == [(0, "a"), (2, "c"), (4, "e"), (4, "e")]
    monkeypatch.setattr(sys, "stdin", Piped("b\n" + "d" * 99 + "\ne\n"))
    assert say(capfd, folder, "--prompts", "-", *short, "--forced", "xy")[:2] == (1, "[1] bxy\n[3] exy\n")
    assert say(capfd, folder, "--prompt", "d" * 99, *short)[:2] == (1, "")


def test_a_line_that_searches_drops_how_tokens_are_drawn(
    capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped('{"prompt": "a", "beams": 3, "length": 2}\n'))
    code, text, _ = say(capfd, folder, "--prompts", "-", "--temperature", "0.5", "--json")
    (found,) = objects(text)
    assert code == 0 and found["chain"] == ["beams 3"] and found["seed"] is None
    trained = tfdsl.open_run(folder).trained()
    assert trained.tokenizer is not None
    start = trained.tokenizer.encode("a").ids
    logits = trained.model(torch.tensor([[*start, *found["tokens"]]]))[0, len(start) - 1 : -1]
    told = logits.log_softmax(-1).gather(1, torch.tensor(found["tokens"])[:, None]).mean().item()
    assert found["score"] == pytest.approx(told, abs=1e-5)


def test_an_error_behind_text_begins_a_line(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    code, text, remarks = say(capfd, folder, "--prompt", "abc", "--length", "4", "--logit-bias", "x=inf")
    assert code == 1 and text == "abc\n"
    assert "error[R817]: no token can be drawn: `logit_bias of 1 token` makes a score that is infinite" in remarks


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--top-k", "0"], 2, "`top_k`: 0 is out of range (a whole number from 1 up)"),
        (["--temperature", "-1"], 2, "`temperature`: -1 is out of range (a number from 0 up)"),
        (["--min-length", "9", "--length", "2"], 2, "`min_length` is 9, and `length` allows 2 tokens"),
        (["--logit-bias", "x"], 2, "`--logit-bias x` is not a text, `=` and a number"),
        (["--chat", "--prompt", "a"], 2, "`--prompt` and `--chat` both say what to ask: give one of them"),
        (["--chat", "--n", "2"], 2, "`--n` writes several texts"),
        (["--prompts", "missing.txt"], 2, "`missing.txt`: no such file"),
        (["--prompt", ""], 0, ""),
        (["--context", "65"], 1, "error[R813]"),
        (["--beams", "2", "--seed", "3"], 2, "`seed` is of tokens that are drawn, and `beams` draws none"),
        (["--weights", "int4"], 2, "int4"),
        (["--banned", "#257"], 1, "error[R811]: `banned` names the token 257"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_told(
    capfd: pytest.CaptureFixture[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped('{"prompt": "a"}\nb\n'))
    found, text, remarks = say(capfd, folder, *arguments, *([] if "--length" in arguments else ["--length", "2"]))
    assert found == code and said in remarks and "Traceback" not in remarks
    assert text == "" or code == 0


def started(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Return a command in a process of its own, which hears of Ctrl-C though the tests may run where nobody types."""
    command = [sys.executable, "-m", "tfdsl", "sample", str(folder), *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    hears = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
    finally:
        signal.signal(signal.SIGINT, hears)


def test_an_interrupt_ends_the_text_and_a_closed_pipe_the_command(folder: Path) -> None:
    with started(folder, "--prompt", "abc", "--length", "100000", "--verbose", "--min-length", "100000") as stopped:
        assert stopped.stdout is not None and stopped.stderr is not None
        shown = stopped.stdout.read(8)
        time.sleep(0.2)
        stopped.send_signal(signal.SIGINT)
        shown += stopped.stdout.read()
        remarks = stopped.stderr.read().decode()
    assert stopped.returncode == 130 and shown.startswith(b"abc") and shown.endswith(b"\n")
    assert "tokens in" in remarks and "tfdsl: stopped" in remarks and "Traceback" not in remarks
    with started(folder, "--prompt", "abc", "--length", "100000", "--min-length", "100000") as closed:
        assert closed.stdout is not None and closed.stderr is not None
        closed.stdout.read(3)
        closed.stdout.close()
        remarks = closed.stderr.read().decode()
    assert closed.returncode == 141 and "Traceback" not in remarks
