"""The order of the examples: each once an epoch, another with another seed, and the same from any place on."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def entries(folder: Path, seed: int, dropout: float) -> list[dict[str, float]]:
    """Return the lines of the steps of a run of six."""
    set_ = chosen(folder, steps=6, seed=seed, evaluate={"every": 100, "batches": 1, "final": False})
    outcome, problems = train(subject(dropout=dropout), set_, folder / f"run-{seed}-{dropout}")
    assert outcome is not None and problems == []
    return [entry for entry in read(folder / f"run-{seed}-{dropout}" / "log.jsonl") if "loss" in entry]


def test_a_run_is_a_function_of_its_seed(tmp_path: Path) -> None:
    """Without dropout as with it: first weights, order, and what dropout draws."""
    losses = {(seed, p): [entry["loss"] for entry in entries(tmp_path, seed, p)] for seed in (0, 7) for p in (0.0, 0.4)}
    assert len({tuple(each) for each in losses.values()}) == 4


def test_the_first_step_takes_the_first_rate_of_the_schedule(tmp_path: Path) -> None:
    """Of a warm-up over 3 steps to 0.01: a quarter, a half, three quarters, all of it, and then less."""
    rates = [entry["lr"] for entry in entries(tmp_path, 0, 0.0)]
    assert rates[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    assert rates[3] > rates[4] > rates[5]
