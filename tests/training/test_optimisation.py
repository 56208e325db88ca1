"""What moves the weights, in whole runs: taken up again to the bit, averaged, ended early, with what layers add."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tfdsl.training import Quiet, checkpoint, resume, train
from tfdsl.training.log import read


def entries(folder: Path, key: str) -> list[Any]:
    return [entry[key] for entry in read(folder / "log.jsonl") if key in entry]


class Interrupt(Quiet):
    """End the run after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def stepped(self, step: int, loss: float, speed: float, done: float, left: float) -> None:
        """Send the signal when its step has come."""
        if step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": {"type": "muon", "lr": 0.01}, "schedule": {"type": "wsd", "warmup": 0.1}, "average": 0.9},
        {"optimizer": "adafactor", "evaluate": {"every": 3, "batches": 2, "patience": 50, "min_delta": 0.01}},
        {"optimizer": {"type": "sgd", "groups": [{"match": "tok.*", "freeze": True}]}, "z_loss": 1e-3, "average": 0.5},
    ],
)
def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path, fields: dict[str, Any]) -> None:
    wanted = chosen(tmp_path, **fields)
    straight, problems = train(subject(), wanted, tmp_path / "straight")
    assert problems == []
    cut, _ = train(subject(), wanted, tmp_path / "cut", report=Interrupt(7))
    assert cut is not None
    assert (cut.end, cut.step) == ("signal", 7)
    again, problems = resume(subject(), tmp_path / "cut")
    assert problems == []
    assert straight is not None
    assert again is not None
    assert (again.loss, again.held_out) == (straight.loss, straight.held_out)
    for key in ("loss", "lr", "norm", "held_out"):
        assert entries(tmp_path / "cut", key) == entries(tmp_path / "straight", key)
    ends = [checkpoint.found(tmp_path / name / "checkpoints")[0][-1] for name in ("straight", "cut")]
    for one, two in ((each.weights(), other.weights()) for each, other in [ends]):
        assert all(torch.equal(one[name], two[name]) for name in one)
    moments = [each.moments() for each in ends]
    assert moments[0].keys() == moments[1].keys()
    assert all(torch.equal(moments[0][name], moments[1][name]) for name in moments[0])
    ignored = {"seconds"}
    assert {k: v for k, v in ends[0].state.items() if k not in ignored} == {
        k: v for k, v in ends[1].state.items() if k not in ignored
    }


def test_the_average_is_what_is_measured_and_kept(tmp_path: Path) -> None:
    """The training is the same with it; the weights that are kept are the average of those that it went through."""
    fields = {"steps": 6, "evaluate": {"every": 2, "batches": 2}, "checkpoint": {"every": 1}}
    train(subject(), chosen(tmp_path, **fields), tmp_path / "plain")
    train(subject(), chosen(tmp_path, average=0.9, **fields), tmp_path / "averaged")
    assert entries(tmp_path / "plain", "loss") == entries(tmp_path / "averaged", "loss")
    assert entries(tmp_path / "plain", "held_out") != entries(tmp_path / "averaged", "held_out")
    plain, averaged = (checkpoint.found(tmp_path / name / "checkpoints")[0][-1] for name in ("plain", "averaged"))
    kept = averaged.moments()
    assert all(torch.equal(kept[f"trained.{name}"], weight) for name, weight in plain.weights().items())
    assert not any(torch.equal(averaged.weights()[name], weight) for name, weight in plain.weights().items())


def test_a_run_ends_early_and_stays_ended(tmp_path: Path) -> None:
    evaluate = {"every": 2, "batches": 2, "patience": 3, "min_delta": 10.0}
    outcome, _ = train(subject(), chosen(tmp_path, steps=40, evaluate=evaluate), tmp_path / "run")
    assert outcome is not None
    assert (outcome.end, outcome.step) == ("patience", 8)  # the first is better than none, three are not
    again, _ = resume(subject(), tmp_path / "run")
    assert again is not None
    assert (again.end, again.step) == ("patience", 8)


def test_frozen_weights_are_those_of_the_start(tmp_path: Path) -> None:
    optimizer = {"lr": 0.01, "groups": [{"match": "layers.*", "freeze": True}]}
    wanted = chosen(tmp_path, optimizer=optimizer, checkpoint={"every": 1}, steps=3)
    train(subject(), wanted, tmp_path / "run")
    first, *_, last = checkpoint.found(tmp_path / "run" / "checkpoints")[0]
    for name, weight in last.weights().items():
        assert torch.equal(weight, first.weights()[name]) == name.startswith("layers.")


class Balanced(GPT):
    """A model whose layers add to the loss: the mean square of what its first layer gives."""

    def forward(self, tokens_BT: Tensor, cache: Any = None) -> Tensor:
        self.given = self.tok(tokens_BT)
        return super().forward(tokens_BT, cache)

    def auxiliary_loss(self) -> Tensor:
        """Return what the layers add."""
        return 3.0 * self.given.square().mean()


def test_what_layers_add_is_added_as_it_is_and_logged_apart(tmp_path: Path) -> None:
    """One step of plain gradient descent moves the table by the gradient of both parts, each mean over its passes."""
    wanted = chosen(
        tmp_path, steps=1, batch=4, accumulate=2, clip=0, schedule={"type": "constant", "warmup": 0},
        optimizer={"type": "sgd", "lr": 0.1, "momentum": 0},
    )  # fmt: skip
    weights: dict[str, Tensor] = {}
    for name, wrap in (("plain", GPT), ("balanced", Balanced)):
        train(subject(dropout=0.0, wrap=wrap), wanted, tmp_path / name)
        weights[name] = checkpoint.found(tmp_path / name / "checkpoints")[0][-1].weights()["tok.weight"]
    assert entries(tmp_path / "plain", "loss") == entries(tmp_path / "balanced", "loss")
    added = entries(tmp_path / "balanced", "auxiliary")
    torch.manual_seed(0)
    table = Balanced(weights["plain"].shape[0], dropout=0.0).tok.weight.detach()
    assert added[0] == pytest.approx(3 * table.square().mean().item(), rel=0.5)
    assert entries(tmp_path / "plain", "auxiliary") == []
    moved = weights["plain"] - weights["balanced"]  # 0.1 · 6 · row · how often it was read / (rows · width)
    share = moved / (0.1 * 6 * table / table.shape[1])
    assert share.mean(1).sum().item() == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"optimizer": {"groups": [{"match": "decoder.*", "lr": 2}]}}, ("R771", "no weight is called `decoder.*`")),
        ({"optimizer": {"groups": [{"match": "*", "freeze": True}]}}, ("R772", None)),
    ],
)
def test_what_cannot_be_is_said_before_the_data_are_read(
    tmp_path: Path, fields: dict[str, Any], said: tuple[str, str | None]
) -> None:
    outcome, problems = train(subject(), chosen(tmp_path, data="nowhere.txt", **fields), tmp_path / "run")
    assert outcome is None
    assert [each.code for each in problems] == [said[0]]
    assert said[1] in (None, problems[0].message)
    assert not (tmp_path / "run").exists()
