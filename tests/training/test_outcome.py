"""How a run ends: what is told of one that the clock ends while its learning rate still rises."""

from __future__ import annotations

from tfdsl import settings
from tfdsl.training.outcome import early


def test_a_run_that_ends_within_its_warm_up() -> None:
    train = settings.Train.model_validate({"steps": 2000, "minutes": 1})
    train = train.model_copy(update={"schedule": train.schedule.settled(train.steps)})
    (told,) = early(train, "minutes", 50, None)
    assert told.code == "W632"
    assert told.message == (
        "the run ended after 50 of the 100 steps of its warm-up: the learning rate came to 50% of `lr`"
    )
    assert early(train, "minutes", 100, None) == early(train, "signal", 50, None) == []
