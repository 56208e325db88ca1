"""When a run ends early, and that a checkpoint remembers how long it has waited."""

import json

from tfdsl.training.patience import Patience


def test_so_many_in_a_row_without_a_better_one_are_enough() -> None:
    patience = Patience(2)
    said = [(patience.measured(loss, step), patience.over) for step, loss in enumerate([3.0, 2.0, 2.5, 1.9, 1.9, 2.0])]
    assert said == [(True, False), (True, False), (False, False), (True, False), (False, False), (False, True)]
    assert (patience.best, patience.step) == (1.9, 3)


def test_a_little_better_is_not_better_but_is_the_best() -> None:
    patience = Patience(2, min_delta=0.1)
    assert [patience.measured(loss, step) for step, loss in enumerate([2.0, 1.95, 1.92])] == [True, True, True]
    assert patience.over
    assert (patience.best, patience.step) == (1.92, 2)


def test_little_by_little_adds_up() -> None:
    patience = Patience(3, min_delta=0.1)
    for step, loss in enumerate([2.0, 1.95, 1.89, 1.85]):
        patience.measured(loss, step)
    assert patience.since == 1


def test_it_is_taken_up_again() -> None:
    one = Patience(3)
    for step, loss in enumerate([2.0, 2.5, 2.5]):
        one.measured(loss, step)
    two = Patience(3)
    two.restore(json.loads(json.dumps(one.state())))
    assert two == one


def test_before_the_first_measurement_there_is_none() -> None:
    two = Patience(None)
    two.restore(json.loads(json.dumps(Patience(None).state())))
    assert two == Patience(None)
    assert not two.over
