"""Trainings that leave no run: the range test of the learning rate, and one batch learnt by heart."""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tfdsl.training import Quiet, trials


def quiet(steps: int) -> Any:
    return nullcontext(Quiet())


@pytest.mark.usefixtures("pictures")
def test_the_range_test_ends_where_the_loss_explodes_and_leaves_nothing(tmp_path: Path) -> None:
    rise, problems = trials.find(
        subject(dropout=0.0), chosen(tmp_path, find_lr={"steps": 60, "lowest": 1e-5, "highest": 1e4}), quiet
    )
    assert problems == []
    assert rise is not None
    assert 30 < len(rise.rates) < 60  # it blew up before the last
    factors = [after / before for before, after in zip(rise.rates, rise.rates[1:], strict=False)]
    assert factors == pytest.approx([1e9 ** (1 / 59)] * len(factors))
    assert rise.suggested is not None
    assert 1e-4 < rise.suggested < 1e-1
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
    trials.draw(rise, tmp_path / "lr.svg", "small")
    assert (tmp_path / "lr.svg").read_text().startswith("<?xml")


def test_the_suggested_rate_is_one_at_which_gradient_descent_converges() -> None:
    """On a · x² / 2, with noise, plain descent converges at rates below 2 / a."""
    a, x, losses, rates = 5.0, 1.0, [], [1e-4 * 1.05**step for step in range(300)]
    for step, rate in enumerate(rates):
        losses.append(1 + a * x * x / 2)
        x -= rate * (a * x + 0.1 * (-1) ** step)
        if losses[-1] > 100:
            break
    assert rates[len(losses) - 1] > 2 / a
    found = trials.suggested(rates[: len(losses)], trials.smoothed(losses))
    assert found is not None
    assert 0.01 / a < found < 0.2 / a


def test_nothing_is_suggested_where_nothing_fell() -> None:
    assert trials.suggested([0.1, 0.2, 0.3], trials.smoothed([1.0, 1.1, 1.2])) is None
    assert trials.suggested([], []) is None


def test_smoothing_is_corrected_for_the_start() -> None:
    assert trials.smoothed([2.0] * 5) == pytest.approx([2.0] * 5)


def test_a_model_in_order_learns_a_batch_by_heart(tmp_path: Path) -> None:
    """With all that stands in its way in a usual training: dropout, smoothing, decay, an average, a schedule."""
    wanted = chosen(tmp_path, steps=300, label_smoothing=0.2, average=0.99, schedule={"type": "noam", "warmup": 4000})
    fit, problems = trials.overfit(subject(dropout=0.5), wanted, quiet)
    assert problems == []
    assert fit is not None
    assert fit.losses[-1] < 0.1 * fit.losses[0]
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


class Deaf(GPT):
    """A model that says the same whatever it reads."""

    def forward(self, tokens_BT: Tensor, cache: Any = None) -> Tensor:
        return super().forward(torch.zeros_like(tokens_BT), cache)


class Cut(GPT):
    """A model with a weight that nothing depends on."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.idle = nn.Linear(8, 8)

    def forward(self, tokens_BT: Tensor, cache: Any = None) -> Tensor:
        return super().forward(torch.zeros_like(tokens_BT), cache)


@pytest.mark.parametrize(
    ("wrap", "fields", "said"),
    [
        (GPT, {"steps": 20, "optimizer": {"lr": 1e-7}}, "still on its way"),
        (GPT, {"steps": 60, "optimizer": {"lr": 30.0}}, "try a lower `train.optimizer.lr`"),
        (Deaf, {"steps": 150, "context": 2}, "what the model reads does not reach"),
        (Cut, {"steps": 150, "context": 2}, "no gradient reaches `idle.weight`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, wrap: type[nn.Module], fields: dict[str, Any], said: str) -> None:
    fit, problems = trials.overfit(subject(wrap=wrap), chosen(tmp_path, **fields), quiet)
    assert fit is not None
    assert [each.code for each in problems] == ["R774"]
    assert said in (problems[0].help or ""), problems[0]
    assert math.isfinite(fit.losses[0])


def test_what_stands_in_the_way_is_said(tmp_path: Path) -> None:
    for trial in (trials.find, trials.overfit):
        found, problems = trial(subject(), chosen(tmp_path, data="nowhere.txt"), quiet)
        assert (found, [each.code for each in problems]) == (None, ["R702"])
