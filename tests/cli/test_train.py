"""tfdsl train and tfdsl sample: a run from its first step to the text that it writes, and what stops one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tfdsl
from tfdsl import roles
from tfdsl.cli import main, train

ROOT = Path(__file__).parent.parent.parent
SPEC = """\
tfdsl: 1
name: small
dims: {context: 32, d_model: 32}
inputs: {tokens: {shape: [B, T], vocab: 257}}
outputs: {logits: [B, T, 257]}
model:
  - embed: {id: tok, from: tokens, width: d_model}
  - position: {type: learned, length: context}
  - residual: [norm, attention: {heads: 2, mask: causal}]
  - norm
  - unembed: {id: logits, tie: tok}
train:
  data: text.txt
  tokenizer: {type: bytes}
  steps: 12
  batch: 4
  threads: 1
  evaluate: {every: 6, batches: 2}
  checkpoint: {every: 6}
sample: {prompt: "the ", length: 8}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec and a text, in which commands run."""
    (tmp_path / "small.yaml").write_text(SPEC)
    (tmp_path / "text.txt").write_text("the cat sat on the mat, and the dog ate the hat. " * 200)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_leaves_all_that_is_needed_and_is_sampled(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "small.yaml"]) == 0
    out = capfd.readouterr().out
    assert "trained after 12 steps in 0:0" in out
    assert out.endswith("next: tfdsl sample runs/small\n")
    assert main(["train", "runs/small", "--resume"]) == 0
    assert capfd.readouterr().out == out.replace("trained after", "the run had ended: it was trained after")
    assert {path.name for path in (folder / "runs/small").iterdir()} >= {
        "spec.yaml",
        "model.py",
        "settings.json",
        "tokenizer.json",
        "checkpoints",
        "log.jsonl",
        "loss.png",
        "loss.svg",
    }
    steps = [json.loads(line)["step"] for line in (folder / "runs/small/log.jsonl").read_text().splitlines()]
    assert steps[-1] == 12
    texts = []
    for seed in ("1", "1", "2"):
        assert main(["sample", "runs/small", "--seed", seed]) == 0
        texts.append(capfd.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("the ")


def test_a_folder_with_a_run_is_not_written_over(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "small.yaml", "--set", "train.steps=2"]) == 0
    before = (folder / "runs/small/log.jsonl").read_bytes()
    capfd.readouterr()
    assert main(["train", "small.yaml"]) == 1
    assert capfd.readouterr().err == (
        "error[R707]: `runs/small` already holds a run\n"
        "help: take it up again with `--resume`, or choose another folder with `-o`\n"
    )
    assert (folder / "runs/small/log.jsonl").read_bytes() == before


def test_a_run_that_was_stopped_goes_on(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "tfdsl", "train", "small.yaml", "-o", "run", "--set", "train.steps=100000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        waiting = time.monotonic()
        while not list((folder / "run").glob("checkpoints/step-*")):
            assert running.poll() is None and time.monotonic() - waiting < 600
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=600)
    assert (running.returncode, "Traceback" in err) == (130, False)
    assert "stopped after" in out and out.endswith("go on: tfdsl train run --resume\n")
    assert main(["train", "run", "--resume", "--set", "train.steps=3"]) == 2
    assert "tfdsl train run/spec.yaml --from run -o OTHER --set train.steps=3\n" in capfd.readouterr().err


def test_a_folder_that_cannot_be_written_is_said(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "small.yaml", "-o", "text.txt/run"]) == 1
    err = capfd.readouterr().err
    assert err == "tfdsl: cannot write the run into `text.txt/run`: not a directory\n"


def test_what_is_no_run_is_not_sampled(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "small.yaml"]) == 2
    assert main(["sample", "absent"]) == 2
    assert main(["sample", "."]) == 1
    assert capfd.readouterr().err == (
        "tfdsl: `small.yaml` is a file, and a run is a folder: "
        "tfdsl train small.yaml, then name the folder that it makes\n"
        "tfdsl: there is no folder `absent`. `tfdsl train` makes one, such as runs/gpt\n"
        "error[R706]: `.` is no run folder: `spec.yaml` is missing\n"
        "help: `tfdsl train` makes one\n"
    )


@pytest.mark.usefixtures("pictures")
def test_trials_leave_no_run(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "small.yaml", "--groups"]) == 0
    assert capfd.readouterr().out.startswith("weights  ")
    assert main(["train", "small.yaml", "--find-lr", "--set", "train.find_lr.steps=40"]) == 0
    assert "next: tfdsl train … --set train.optimizer.lr=" in capfd.readouterr().out
    assert main(["train", "small.yaml", "--overfit-one-batch"]) == 1
    assert "error[R774]: one batch was not learnt" in capfd.readouterr().err
    better = ["--set", "train.steps=200", "--set", "train.optimizer.lr=1e-2"]
    assert main(["train", "small.yaml", "--overfit-one-batch", *better]) == 0
    assert "one batch was learnt" in capfd.readouterr().out
    assert [path.name for path in (folder / "runs").iterdir()] == ["small-lr.svg"]
    assert main(["train", "small.yaml", "--groups", "--resume"]) == 2


@pytest.mark.parametrize(
    ("spec", "objective", "asked"),
    [
        ("gpt2", "next_token", "sample {}"),
        ("bert", "masked_token", 'fill {} "a [MASK] text"'),
        ("t5", "span_corruption", "sample {} --prompt TEXT"),
        ("transformer", "seq2seq", "sample {} --prompt TEXT"),
        ("whisper_base", "seq2seq", "sample {} --prompt SOUND.npy"),
        ("vit", "classify", "classify {} IMAGE"),
        ("bert", "contrastive", "embed {} TEXT OTHER"),
        ("bert", "next_token", ""),
    ],
)
def test_what_asks_a_trained_model_is_named(spec: str, objective: str, asked: str) -> None:
    signature = roles.of(tfdsl.check(ROOT / "specs" / f"{spec}.yaml"))
    assert train._question(objective, signature) == asked  # pyright: ignore[reportPrivateUsage]
