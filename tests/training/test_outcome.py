"""How a run ends: what is told of one that the clock ends while its learning rate still rises."""

from __future__ import annotations

from tfdsl import settings
from tfdsl.training.outcome import early


def test_a_run_that_ends_within_its_warm_up() -> None:
    train = settings.Train.model_validate({"steps": 2000, "minutes": 1, "evaluate": {"patience": 2}})
    train = train.model_copy(update={"schedule": train.schedule.settled(train.steps)})
    asked: list[str] = []
    (clock,) = early(train, "minutes", 50, asked.append)
    (patience,) = early(train, "patience", 50, asked.append)
    assert clock.code == patience.code == "W632"
    assert clock.message == patience.message
    assert clock.message == (
        "the run ended after 50 of the 100 steps of its warm-up: the learning rate came to 50% of `lr`"
    )
    assert asked == ["train.minutes", "train.evaluate.patience"]
    assert clock.help == "a shorter warm-up (`train.schedule.warmup`), or more time (`train.minutes`)"
    assert patience.help == "a shorter warm-up (`train.schedule.warmup`), or more patience (`train.evaluate.patience`)"
    assert early(train, "minutes", 100, asked.append) == early(train, "signal", 50, asked.append) == []
