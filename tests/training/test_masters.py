"""Weights in bfloat16: what the optimiser moves is float32, a run comes back to the bit, and several are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tfdsl
from tests.training.crew import crew
from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tests.training.test_train import Interrupt, losses
from tfdsl.settings import Sample
from tfdsl.training import checkpoint, needs, resume, train
from tfdsl.training import subject as subjects
from tfdsl.training.log import Log
from tfdsl.training.loop import Loop
from tfdsl.training.masters import Masters
from tfdsl.training.prepare import prepare
from tfdsl.training.processes import Processes
from tfdsl.training.progress import Quiet
from tfdsl.training.task import Place

LOW = {"precision": "bfloat16_weights"}


def looped(folder: Path, **fields: Any) -> Loop:
    """Return a loop before its first step."""
    job, problems = prepare(subject(dropout=0.0), chosen(folder, **LOW, **fields), Sample(), folder / "run")
    assert job is not None, problems
    return Loop(job, Quiet(), Log(folder / "run" / "log.jsonl", 0), None, Processes())


def test_steps_that_bfloat16_cannot_hold_are_taken() -> None:
    """A weight of 1 that moves by 1e-4 a step stays where it is in eight bits; forty steps later it has moved."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    masters = Masters(layer)
    held = masters.held["weight"]
    optimizer = torch.optim.SGD([held], lr=1e-4)
    seen: list[float] = []
    for _ in range(40):
        layer(torch.ones(1, 1, dtype=torch.bfloat16)).sum().backward()
        masters.take()
        assert layer.weight.grad is None
        optimizer.step()
        optimizer.zero_grad()
        masters.give()
        seen.append(layer.weight.item())
    assert held.item() == pytest.approx(1 - 40e-4, abs=1e-6)
    assert seen[0] == 1.0
    assert seen[-1] == torch.tensor(1 - 40e-4).bfloat16().item() < 1


def test_gradients_of_passes_are_added_in_float32() -> None:
    layer = nn.Linear(1, 1, bias=False)
    masters = Masters(layer)
    for value in (256.0, 1.0, 1.0, 1.0):  # in bfloat16, 256 and 1 are 256
        layer(torch.full((1, 1), value, dtype=torch.bfloat16)).sum().backward()
        masters.take()
    grad = masters.held["weight"].grad
    assert grad is not None
    assert grad.item() == 259.0


def test_the_model_is_the_rounding_of_what_is_kept(tmp_path: Path) -> None:
    loop = looped(tmp_path, accumulate=2)
    for _ in range(3):
        loop.advance()
    assert loop.masters is not None
    own = dict(loop.model.named_parameters())
    assert {each.dtype for each in own.values()} == {torch.bfloat16}
    for name, held in loop.masters.held.items():
        assert torch.equal(own[name], held.bfloat16())
        assert not torch.equal(own[name].float(), held)
    assert {each.dtype for each in loop.optimizer.state().values()} == {torch.float32}
    loop.saver.close()


@pytest.mark.parametrize(
    "fields", [{}, {"average": 0.9, "accumulate": 2}, {"optimizer": {"type": "muon", "lr": 1e-2}}], ids=str
)
def test_a_run_that_is_cut_goes_on_to_the_bit(tmp_path: Path, fields: dict[str, Any]) -> None:
    settings = chosen(tmp_path, **LOW, **fields)
    straight, _ = train(subject(), settings, tmp_path / "straight")
    cut, _ = train(subject(), settings, tmp_path / "cut", report=Interrupt(7, 15))
    again, problems = resume(subject(), tmp_path / "cut")
    assert problems == []
    assert straight is not None and cut is not None and again is not None
    assert cut.end == "signal"
    assert again.held_out == straight.held_out
    assert losses(tmp_path / "cut") == losses(tmp_path / "straight")
    ends = [_last(tmp_path / name) for name in ("straight", "cut")]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], each) for name, each in ends[1].items())
    assert {each.dtype for each in ends[1].values()} == {torch.float32}


def _last(folder: Path) -> dict[str, Tensor]:
    point = checkpoint.found(folder / "checkpoints")[0][-1]
    return point.weights() | point.moments()


def test_it_learns_as_autocast_does(tmp_path: Path) -> None:
    ends: list[float] = []
    for precision in ("bfloat16", "bfloat16_weights"):
        settings = chosen(tmp_path, steps=30, precision=precision)
        outcome, problems = train(subject(dropout=0.0), settings, tmp_path / precision)
        assert problems == []
        assert outcome is not None and outcome.held_out is not None
        ends.append(outcome.held_out.loss)
    assert ends[1] == pytest.approx(ends[0], abs=0.15)


def test_frozen_weights_are_kept_as_they_were(tmp_path: Path) -> None:
    groups = {"lr": 1e-2, "groups": [{"match": "pos.*", "freeze": True}]}
    train(subject(), chosen(tmp_path, steps=3, optimizer=groups, **LOW), tmp_path / "run")
    first, last = (each.weights() for each in checkpoint.found(tmp_path / "run" / "checkpoints")[0][:2])
    assert torch.equal(first["pos.weight"], last["pos.weight"])
    assert not torch.equal(first["pos.weight"], first["pos.weight"].bfloat16().float())


class Breaks(GPT):
    """A model whose last feed-forward gets a gradient that is no number."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.layers[-1].up.weight.register_hook(lambda grad: grad * float("nan"))


def test_a_gradient_that_is_no_number_is_named(tmp_path: Path) -> None:
    outcome, problems = train(subject(wrap=Breaks), chosen(tmp_path, **LOW), tmp_path / "run")
    assert outcome is not None and outcome.end == "diverged"
    assert "the gradient is not finite, nearest the end in that of `layers." in problems[-1].message


def test_several_processes_are_refused(tmp_path: Path) -> None:
    def work(rank: int) -> list[str]:
        outcome, problems = train(subject(), chosen(tmp_path, **LOW), tmp_path / "run")
        assert outcome is None
        return [each.code for each in problems]

    assert crew(2, work) == [["R874"], []]


def test_the_memory_estimate_knows_the_masters(tmp_path: Path) -> None:
    """Beside what autocast needs there are a pass's gradients in bfloat16; weights and masters are as much as casts."""
    text = tmp_path / "text.txt"
    text.write_text("a text " * 2000)
    found: list[needs.Need] = []
    for precision in ("bfloat16", "bfloat16_weights"):
        settings = [f"train.data={text}", "train.tokenizer=bytes", f"train.precision={precision}", "train.batch=2"]
        checked = tfdsl.check("specs/stdlib.yaml", settings)
        taken = subjects.of(checked)
        job, problems = prepare(taken, checked.train, checked.sample, tmp_path / precision)
        assert job is not None and taken.costs is not None, problems
        batch = job.task.batch(job.data.train, [Place(0, 0)])
        found.append(needs.need(taken.costs, taken.signature, batch, job.settings))
    parameters = found[0].weights // 6
    assert found[1].weights == found[0].weights
    assert found[1].gradients - found[0].gradients == 2 * parameters
    assert found[1].activations == int(needs.THINNER * found[0].activations)
