"""What is made ahead: the same, in order, and no thread is left behind."""

import threading
import time
from pathlib import Path

import pytest

from tests.training.runs import chosen, subject
from tfdsl.training import Quiet, train
from tfdsl.training.log import read
from tfdsl.training.prefetch import Ahead


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("tfdsl-prefetch")]


def test_each_step_is_made_once_and_none_beyond_the_last() -> None:
    made: list[int] = []

    def make(step: int) -> int:
        made.append(step)
        return step * step

    with Ahead(make, 5) as ahead:
        assert [ahead.take(step) for step in range(5)] == [0, 1, 4, 9, 16]
    assert made == [0, 1, 2, 3, 4]
    assert threads() == []


def test_a_step_out_of_order_is_made_when_it_is_asked_for() -> None:
    with Ahead(lambda step: -step, 100) as ahead:
        assert [ahead.take(step) for step in (7, 3, 4, 4)] == [-7, -3, -4, -4]


def test_waiting_is_what_was_waited() -> None:
    def slow(step: int) -> int:
        time.sleep(0.05)
        return step

    with Ahead(slow, 3) as ahead:
        ahead.take(0)
        assert 0.05 <= ahead.waiting < 0.5
        waited = ahead.waiting
        time.sleep(0.2)  # the model learns meanwhile
        ahead.take(1)
        assert ahead.waiting - waited < 0.04


def test_what_goes_wrong_is_raised_where_it_is_asked_for() -> None:
    def broken(step: int) -> int:
        if step == 1:
            raise OSError("no such shard")
        return step

    with pytest.raises(OSError, match="no such shard"), Ahead(broken, 3) as ahead:
        assert ahead.take(0) == 0
        ahead.take(1)
    assert threads() == []


class Stop(Quiet):
    """Break off in the middle of a run, as a mistake would."""

    def stepped(self, step: int, loss: float, speed: float, done: float, left: float) -> None:
        """Raise after the third step."""
        if step == 3:
            raise RuntimeError("broken off")


def test_no_way_out_of_a_run_leaves_a_thread(tmp_path: Path) -> None:
    outcome, _ = train(subject(), chosen(tmp_path), tmp_path / "run")
    assert outcome is not None
    shares = [entry["waiting"] for entry in read(tmp_path / "run" / "log.jsonl") if "loss" in entry]
    assert len(shares) == 20
    assert all(0 <= share <= 1 for share in shares)
    assert threads() == []
    with pytest.raises(RuntimeError, match="broken off"):
        train(subject(), chosen(tmp_path), tmp_path / "other", report=Stop())
    assert threads() == []
