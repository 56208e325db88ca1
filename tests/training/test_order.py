"""The order of the examples: each once an epoch, another with another seed, and the same from any place on."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tfdsl.training import order, train
from tfdsl.training.log import read

COUNT = 40


def seen(seed: int, first: int = 0, last: int = 2 * COUNT) -> list[tuple[int, int]]:
    return [(place.epoch, place.index) for place in order.places(lambda _: COUNT, seed, first, last)]


def test_an_epoch_sees_each_example_once_in_an_order_of_its_own() -> None:
    all_ = seen(1)
    one, two = [index for epoch, index in all_ if epoch == 0], [index for epoch, index in all_ if epoch == 1]
    assert sorted(one) == sorted(two) == list(range(COUNT))
    assert one != two != sorted(two) and one != sorted(one)


def test_the_order_is_a_function_of_the_seed() -> None:
    assert seen(1) == seen(1) != seen(2)
    assert seen(1, 30, 55) == seen(1)[30:55]


class Noting(GPT):
    """Notes a weight that a step finds, and what the step draws."""

    noted: ClassVar[list[tuple[float, float]]] = []

    def forward(self, tokens: Tensor) -> Tensor:
        """Give the logits."""
        if self.training:
            self.noted.append((self.tok.weight[0, 0].item(), torch.rand(()).item()))
        return super().forward(tokens)


def noted(folder: Path, seed: int) -> list[tuple[float, float]]:
    """Return what the steps of a run of four noted."""
    Noting.noted.clear()
    set_ = chosen(folder, steps=4, seed=seed, evaluate={"every": 100, "batches": 1, "final": False})
    outcome, problems = train(subject(dropout=0.0, wrap=Noting), set_, folder / f"run-{len(list(folder.iterdir()))}")
    assert outcome is not None and problems == []
    return list(Noting.noted)


def test_first_weights_and_what_steps_draw_are_functions_of_the_seed(tmp_path: Path) -> None:
    one, again, other = (noted(tmp_path, seed) for seed in (1, 1, 2))
    assert one == again
    assert one[0][0] != other[0][0]
    assert len({drawn for _, drawn in (*one, *other)}) == 8


def test_the_first_step_takes_the_first_rate_of_the_schedule(tmp_path: Path) -> None:
    """Of a warm-up over 3 steps to 0.01: a third, two thirds, all of it, and then less, to a tenth at the last."""
    train(subject(), chosen(tmp_path, steps=6, evaluate={"every": 100, "final": False}), tmp_path / "run")
    rates = [entry["lr"] for entry in read(tmp_path / "run" / "log.jsonl") if "lr" in entry]
    assert rates == pytest.approx([0.01 / 3, 0.02 / 3, 0.01, 0.00775, 0.00325, 0.001])
