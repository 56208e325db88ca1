"""Whole runs: that they learn, that they can be taken up again to the bit, and how each end looks."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.gpt import GPT
from tests.training.runs import LETTERS, chosen, subject
from tfdsl.training import Quiet, checkpoint, resume, train
from tfdsl.training.log import read


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in read(folder / "log.jsonl") if "loss" in entry]


@pytest.mark.usefixtures("pictures")
def test_a_run_learns_and_leaves_all_that_is_needed_to_use_it(tmp_path: Path) -> None:
    outcome, problems = train(subject(dropout=0.0), chosen(tmp_path, steps=80), tmp_path / "run")
    assert problems == []
    assert outcome is not None
    assert (outcome.end, outcome.step) == ("steps", 80)
    assert outcome.held_out is not None
    assert outcome.held_out.loss < 1.2 < losses(tmp_path / "run")[0]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        *("checkpoints", "data", "groups.txt", "log.jsonl", "loss.png", "loss.svg", "model.py"),
        *("settings.json", "spec.yaml", "tokenizer.json"),
    ]
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "training, averaged" in (tmp_path / "run" / "loss.svg").read_text()
    kept = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert kept["train"]["context"] == 16
    assert kept["model"] == {"name": "small", "vocab": LETTERS, "context": 16, "labels": []}


class Interrupt(Quiet):
    """Send a signal after a step."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def stepped(self, step: int, loss: float, speed: float, done: float, left: float) -> None:
        """Send the signal when its step has come."""
        if step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path, number: int) -> None:
    settings = chosen(tmp_path, accumulate=2)
    before = signal.getsignal(number)
    straight, _ = train(subject(), settings, tmp_path / "straight")
    cut, _ = train(subject(), settings, tmp_path / "cut", report=Interrupt(7, number))
    assert cut is not None
    assert (cut.end, cut.step) == ("signal", 7)
    assert signal.getsignal(number) == before
    torch.manual_seed(1234)  # a new process would start from any random state
    again, problems = resume(subject(), tmp_path / "cut")
    assert problems == []
    assert straight is not None
    assert again is not None
    assert again.loss == straight.loss
    assert again.held_out == straight.held_out
    assert losses(tmp_path / "cut") == losses(tmp_path / "straight")
    ends = [checkpoint.found(tmp_path / name / "checkpoints")[0][-1] for name in ("straight", "cut")]
    assert all(torch.equal(ends[0].weights()[name], weight) for name, weight in ends[1].weights().items())
    assert all(torch.equal(ends[0].moments()[name], moment) for name, moment in ends[1].moments().items())


def test_a_damaged_checkpoint_is_named_and_the_one_before_taken_up(tmp_path: Path) -> None:
    straight, _ = train(subject(), chosen(tmp_path), tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "step-00000020" / checkpoint.WEIGHTS
    path.write_bytes(b"x" + path.read_bytes()[1:])
    again, problems = resume(subject(), tmp_path / "run")
    assert [(p.code, p.message) for p in problems] == [
        ("W571", f"`{path}` is damaged: its SHA-256 is not the one in the manifest")
    ]
    assert straight is not None
    assert again is not None
    assert (again.loss, again.held_out) == (straight.loss, straight.held_out)


def test_best_and_last_are_kept(tmp_path: Path) -> None:
    settings = chosen(tmp_path, steps=40, optimizer={"lr": 0.05}, evaluate={"every": 4})
    train(subject(), settings, tmp_path / "run")
    entries = [entry for entry in read(tmp_path / "run" / "log.jsonl") if "held_out" in entry][:-1]
    best = min(entries, key=lambda entry: entry["held_out"])["step"]
    whole, damaged = checkpoint.found(tmp_path / "run" / "checkpoints")
    steps = {point.step for point in whole}
    assert damaged == []
    assert {best, 40} <= steps
    assert len(steps) <= 3
    assert whole[-1].state["best_step"] == best


def test_accumulated_passes_make_the_step_of_one_large_pass(tmp_path: Path) -> None:
    large, _ = train(subject(dropout=0.0), chosen(tmp_path, batch=8), tmp_path / "large")
    parts, _ = train(subject(dropout=0.0), chosen(tmp_path, batch=2, accumulate=4), tmp_path / "parts")
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "large"), rel=1e-4)


class Breaks(GPT):
    """A model with a feed-forward whose output is not a number from the ninth pass on."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.passes = 0
        self.layers[0].up.register_forward_hook(self.spoil)

    def spoil(self, module: nn.Module, given: object, output: Tensor) -> Tensor | None:
        """Count the passes of training, and spoil the later ones."""
        self.passes += self.training
        return output * float("nan") if self.passes > 8 and self.training else None


def test_a_loss_that_is_no_number_ends_the_run_before_the_step(tmp_path: Path) -> None:
    outcome, problems = train(subject(wrap=Breaks), chosen(tmp_path), tmp_path / "run")
    assert outcome is not None
    assert (outcome.end, outcome.step) == ("diverged", 8)
    assert [(p.code, p.message) for p in problems] == [
        ("R709", "at step 9 the loss is nan, first in the output of `layers.0.up`; the step was not taken")
    ]
    whole, _ = checkpoint.found(tmp_path / "run" / "checkpoints")
    assert whole[-1].step == 8
    assert all(weight.isfinite().all() for weight in whole[-1].weights().values())


class Explodes(GPT):
    """A model whose loss is finite while the gradient at its norm is not, from the ninth pass on."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.passes = 0
        self.norm.register_full_backward_hook(self.spoil)

    def spoil(
        self, module: nn.Module, given: tuple[Tensor, ...], towards: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...] | None:
        """Count the passes, and spoil the later ones."""
        self.passes += 1
        return tuple(part * float("inf") for part in given) if self.passes > 8 else None


def test_a_gradient_that_is_not_finite_ends_it_too(tmp_path: Path) -> None:
    outcome, problems = train(subject(wrap=Explodes), chosen(tmp_path), tmp_path / "run")
    assert outcome is not None
    assert (outcome.end, outcome.step) == ("diverged", 8)
    assert [(p.code, p.message) for p in problems] == [
        (
            "R709",
            "at step 9 the gradient is not finite, nearest the end in that of `layers.0.down.weight`;"
            " the step was not taken",
        )
    ]


def test_minutes_end_a_run_whose_rate_has_then_fallen(tmp_path: Path) -> None:
    settings = chosen(tmp_path, steps=10**6, minutes=0.02, evaluate={"every": 10**6}, checkpoint={"every": 10**6})
    outcome, _ = train(subject(), settings, tmp_path / "run")
    assert outcome is not None
    assert outcome.end == "minutes"
    assert outcome.seconds >= 1.2
    last = [entry for entry in read(tmp_path / "run" / "log.jsonl") if "lr" in entry][-1]
    assert last["lr"] == pytest.approx(1e-3, rel=0.2)


def test_clipping_bounds_the_step(tmp_path: Path) -> None:
    for name, clip in (("free", 0), ("bound", 1e-3)):
        settings = chosen(tmp_path, steps=1, clip=clip)
        train(subject(), settings, tmp_path / name)
    ends = [checkpoint.found(tmp_path / name / "checkpoints")[0][-1].moments() for name in ("free", "bound")]
    norms = [sum(m.square().sum() for n, m in end.items() if n.startswith("first")).sqrt() / 0.1 for end in ends]
    assert norms[1] == pytest.approx(1e-3, rel=1e-3)
    assert norms[0] == pytest.approx(read(tmp_path / "free" / "log.jsonl")[0]["norm"], rel=1e-4)


def test_bfloat16_and_compile_learn_the_same(tmp_path: Path) -> None:
    plain, _ = train(subject(dropout=0.0), chosen(tmp_path), tmp_path / "plain")
    low, _ = train(subject(dropout=0.0), chosen(tmp_path, precision="bfloat16"), tmp_path / "low")
    assert losses(tmp_path / "low") == pytest.approx(losses(tmp_path / "plain"), rel=0.03)
    assert losses(tmp_path / "low") != losses(tmp_path / "plain")
