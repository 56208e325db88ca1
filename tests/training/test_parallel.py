"""Several processes are one: the same losses and weights, the same checkpoints, whatever their number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.crew import crew
from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tfdsl import settings
from tfdsl.training import Outcome, checkpoint, resume, train
from tfdsl.training.log import read


class Exact(GPT):
    """The small GPT in float64, so that only the order of a sum differs."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, layers=2, **fields)
        self.double()


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in read(folder / "log.jsonl") if "loss" in entry]


def last(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of the last checkpoint of a run."""
    point = checkpoint.found(folder / "checkpoints")[0][-1]
    return point.weights() | point.moments()


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest difference between two checkpoints, which hold the same names."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def trained(count: int, chosen: settings.Train, folder: Path, wrap: type[nn.Module] = Exact) -> list[Outcome]:
    """Train with `count` processes; return how it ended for each."""

    def work(rank: int) -> Outcome:
        outcome, problems = train(subject(dropout=0.0, wrap=wrap), chosen, folder)
        assert problems == []
        assert outcome is not None
        return outcome

    return [work(0)] if count == 1 else crew(count, work)


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_processes_train_as_one(tmp_path: Path, way: str) -> None:
    settings = chosen(tmp_path, steps=12, batch=5, accumulate=2, parallel=way, evaluate={"every": 6}, clip=0.1)
    one = trained(1, settings, tmp_path / "one")
    two = trained(2, settings, tmp_path / "two")
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-12)
    assert [each.loss for each in two] == [losses(tmp_path / "two")[-1]] * 2
    assert [each.held_out.loss for each in two if each.held_out] == pytest.approx([one[0].held_out.loss] * 2, rel=1e-12)  # type: ignore[union-attr]
    assert apart(last(tmp_path / "one"), last(tmp_path / "two")) < 1e-12
