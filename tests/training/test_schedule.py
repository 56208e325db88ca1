"""Learning rates at the points where they are known by hand."""

import math

import pytest

from tfdsl.settings import Schedule
from tfdsl.training.schedule import rate


def test_all_types_rise_in_a_line() -> None:
    for kind in ("cosine", "linear", "constant", "noam"):
        schedule = Schedule.model_validate({"type": kind, "warmup": 9})
        assert [rate(schedule, 1.0, step, 0.0) for step in (0, 4, 8, 9)] == pytest.approx([0.1, 0.5, 0.9, 1.0])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cosine", [1.0, 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2, 0.6, 0.2]),
        ("linear", [1.0, 0.8, 0.6, 0.2]),
        ("constant", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_fall(kind: str, expected: list[float]) -> None:
    schedule = Schedule.model_validate({"type": kind, "warmup": 0, "minimum": 0.2})
    assert [rate(schedule, 1.0, 10, progress) for progress in (0, 0.25, 0.5, 1)] == pytest.approx(expected)


def test_the_least_is_a_tenth_if_not_said() -> None:
    assert rate(Schedule(warmup=0), 3.0, 10, 1.0) == pytest.approx(0.3)


def test_noam_is_the_papers() -> None:
    """Vaswani et al., equation 3, steps from 1: width^-0.5 * min(step^-0.5, step * warmup^-1.5)."""
    schedule = Schedule(type="noam", warmup=3999)
    peak = 512**-0.5 * 4000**-0.5
    for step in (1, 100, 3999, 4000, 4001, 100_000):
        paper = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        assert rate(schedule, peak, step - 1, 0.0) == pytest.approx(paper)
