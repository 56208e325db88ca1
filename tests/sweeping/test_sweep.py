"""Sweeps from the first check to the table: real runs, what is kept and what is taken up, and runs that go wrong."""

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
from tfdsl.cli import main
from tfdsl.sweeping import work
from tfdsl.sweeping.plan import Planned
from tfdsl.watching import curves

ROOT = Path(__file__).parent.parent.parent
SPEC = """\
tfdsl: 1
name: small
dims: {d_model: 16, n_heads: 2, n_layers: 1}
inputs: {tokens: {shape: [B, T], vocab: 257}}
outputs: {logits: [B, T, 257]}
blocks:
  layer:
    - residual: [norm, attention: {heads: n_heads, mask: causal}]
model:
  - embed: {id: tok, from: tokens, width: d_model}
  - repeat: {block: layer, times: n_layers}
  - unembed: {id: logits, tie: tok}
train:
  data: text.txt
  tokenizer: bytes
  steps: 4
  batch: 2
  context: 16
  threads: 1
  precision: float32
  schedule: {warmup: 1}
  evaluate: {every: 4, batches: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec and a text, in which sweeps run."""
    (tmp_path / "small.yaml").write_text(SPEC)
    (tmp_path / "text.txt").write_text("the cat sat on the mat, and the dog ate the hat. " * 20)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def here(runs: list[Planned], jobs: int, start: str | None, watch: work.Watch) -> bool:
    """Train in this process, which has torch already."""
    for run in runs:
        if run.state == "ended":
            continue
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / "spec.yaml").write_text(run.text)
        words = [str(run.folder), "--resume"] if run.state == "begun" else [str(run.folder / "spec.yaml")]
        main(["train", *words, "-o", str(run.folder)])
        watch.ended(run, 1.0)
    return True


def test_a_sweep_of_two_processes(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "small.yaml", "--vary", "dims.n_layers=1,2", "--jobs", "2", "-o", "sweep"]) == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[0].split() == (
        ["n_layers", "parameters", "FLOPs", "an", "example", "loss", "bits", "a", "byte", "perplexity", "time", "runs"]
    )
    assert "2 runs below sweep, all of them sound." in err
    assert "n_layers=1: done in" in err
    assert {path.name for path in (folder / "sweep").iterdir()} == {
        *("n_layers=1", "n_layers=2", "sweep.json", "results.csv", "results.json", "results.md"),
        *("results.svg", "results.png", "curves.svg", "curves.png"),
    }
    before = (folder / "sweep/n_layers=1/log.jsonl").read_bytes()
    assert main(["sweep", "small.yaml", "--vary", "dims.n_layers=1,2", "-o", "sweep"]) == 0
    assert (folder / "sweep/n_layers=1/log.jsonl").read_bytes() == before  # what is trained is kept
    table = (folder / "sweep/results.csv").read_bytes()
    for others, said in (
        (["--vary", "dims.n_layers=2,3"], "`sweep` holds runs that this sweep does not name: n_layers=1"),
        (["--vary", "train.batch=2"], "`sweep` holds runs that this sweep does not name: n_layers=1; n_layers=2"),
        (["--vary", "dims.n_layers=1,2", "--from", "other"], "the runs in `sweep` began from no other run"),
    ):
        assert main(["sweep", "small.yaml", *others, "-o", "sweep"]) == 1
        assert f"error[R880]: {said}" in capfd.readouterr().err
    assert (folder / "sweep/results.csv").read_bytes() == table


def test_files_of_somebody_else_are_left_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "sweep").mkdir()
    (folder / "sweep/results.csv").write_text("mine")
    assert main(["sweep", "small.yaml", "--vary", "train.batch=2", "-o", "sweep"]) == 1
    assert "error[R880]: `sweep/results.csv` is there, and no sweep wrote it" in capfd.readouterr().err
    (folder / "sweep/sweep.json").write_text("{")
    assert main(["sweep", "small.yaml", "--vary", "train.batch=2", "-o", "sweep"]) == 1
    assert "`sweep/sweep.json` is damaged" in capfd.readouterr().err


def test_from_python_with_seeds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "run_all", here)
    swept = tfdsl.sweep(
        "small.yaml", "sweep", {"train.optimizer.lr": [1e-3, 1e-1]}, seeds=2, overrides=["train.steps=2"]
    )
    assert [row.name for row in swept.rows] == [f"lr={lr},seed={seed}" for lr in ("0.001", "0.1") for seed in (0, 1)]
    assert [(group.status, len(group.done)) for group in swept.groups] == [("done", 2), ("done", 2)]
    losses = [row.figures["loss"] for row in swept.rows[:2]]
    mean = swept.groups[0].mean("loss")
    assert mean is not None
    assert mean.mean == pytest.approx(sum(losses) / 2)
    assert mean.deviation == pytest.approx(abs(losses[0] - losses[1]) / 2**0.5)
    kept = json.loads((folder / "sweep/results.json").read_text())
    assert kept["combinations"][0]["figures"]["loss"] == {"mean": mean.mean, "deviation": mean.deviation, "count": 2}
    assert [run["tokens"] for run in kept["runs"]] == [2 * 2 * 16] * 4
    again = tfdsl.sweep(tfdsl.check("small.yaml"), "other", overrides=["train.steps=1"])
    assert [(row.name, row.status) for row in again.rows] == [("run", "done")]


def test_every_combination_is_checked_before_the_first_starts(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["sweep", "small.yaml", "--vary", "dims.n_heads=1,3,2,5", "--vary", "train.batch=1,2", "-o", "sweep"]
    assert main(command) == 1
    err = capfd.readouterr().err
    those = "n_heads=3,batch=1; n_heads=3,batch=2; n_heads=5,batch=1; n_heads=5,batch=2"
    assert f"note: in 4 of 8 combinations: {those}" in err
    assert err.count("error[") == 1
    assert main(["sweep", "small.yaml", "--vary", "train.context=16,4096", "-o", "sweep"]) == 1
    assert "in 1 of 2 combinations: context=4096" in capfd.readouterr().err
    assert not (folder / "sweep").exists()


@pytest.mark.usefixtures("pictures")
def test_a_run_that_diverges_or_fails_ends_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def spoilt(runs: list[Planned], jobs: int, start: str | None, watch: work.Watch) -> bool:
        here(runs[2:], jobs, start, watch)
        for run in runs[:2]:
            run.folder.mkdir(parents=True, exist_ok=True)
        lines = [{"step": 1, "loss": 9.5, "tokens": 32, "seconds": 0.1}, {"step": 1, "end": "diverged", "seconds": 0.1}]
        (runs[0].folder / curves.LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
        (runs[1].folder / work.OUTPUT).write_text("step 1\ntfdsl: the machine is on fire\n")
        return True

    monkeypatch.setattr(work, "run_all", spoilt)
    assert main(["sweep", "small.yaml", "--vary", "train.optimizer.lr=1,2,1e-3", "-o", "sweep"]) == 1
    lines = capfd.readouterr().out.splitlines()
    ends = [line.split()[-1] for line in lines if line.startswith(("1  ", "2  ", "1e-3"))]
    assert ends == ["diverged", "failed", "done"]
    assert "lr=2: tfdsl: the machine is on fire" in lines


def test_a_sweep_that_was_stopped_goes_on_at_the_checkpoints(folder: Path) -> None:
    words = ["sweep", "small.yaml", "--seeds", "2", "-o", "sweep", "--set", "train.steps=30000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tfdsl", *words, "--set", "train.checkpoint.every=10"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sweep:
        began = time.monotonic()
        while not list((folder / "sweep/seed=0/checkpoints").glob("step-*")):
            assert sweep.poll() is None and time.monotonic() - began < 600
            time.sleep(0.05)
        sweep.send_signal(signal.SIGINT)
        out, err = sweep.communicate(timeout=600)
    assert (sweep.returncode, "Traceback" in err) == (130, False)
    assert "stopped" in out and out.endswith("go on: the same command again\n")
    end = curves.read(folder / "sweep/seed=0/log.jsonl")[-1]
    assert end["end"] == "signal"
    assert not (folder / "sweep/seed=1").exists()
