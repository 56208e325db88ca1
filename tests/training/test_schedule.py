"""Learning rates against the papers' formulas, the schedules of `transformers`, and points that are known by hand."""

import math
from typing import Any

import pytest
import torch
import transformers

from tfdsl.settings import Schedule, Train
from tfdsl.training.schedule import rate

STEPS, WARMUP = 50, 8


def schedule(**fields: Any) -> Schedule:
    return Train.read({"schedule": fields}).schedule


def rates(chosen: Schedule, peak: float) -> list[float]:
    """Return the rates of a training of STEPS, as the loop asks for them."""
    passed = (max(0.0, (step - chosen.warmup) / (STEPS - chosen.warmup)) for step in range(STEPS))
    return [rate(chosen, peak, step, progress) for step, progress in enumerate(passed)]


def theirs(name: str, peak: float, **specific: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    made = transformers.get_scheduler(name, optimizer, WARMUP, STEPS, scheduler_specific_kwargs=specific)
    found: list[float] = []
    for _ in range(STEPS):
        found.append(made.get_last_lr()[0])
        optimizer.step()
        made.step()
    return found


FALL = round(0.5 * (STEPS - WARMUP))


@pytest.mark.parametrize(
    ("fields", "name", "specific"),
    [
        ({"type": "constant"}, "constant_with_warmup", {}),
        ({"type": "linear", "minimum": 0}, "linear", {}),
        ({"type": "cosine", "minimum": 0}, "cosine", {}),
        ({"type": "cosine", "minimum": 0.03}, "cosine_with_min_lr", {"min_lr": 0.03}),
        (
            {"type": "wsd", "minimum": 0.0, "decay": 0.5},
            "warmup_stable_decay",
            {"num_decay_steps": FALL, "decay_type": "linear"},
        ),
        (
            {"type": "wsd", "minimum": 0.03, "decay": 0.5, "fall": "cosine"},
            "warmup_stable_decay",
            {"num_decay_steps": FALL, "min_lr_ratio": 0.1, "decay_type": "cosine"},
        ),
    ],
)
def test_after_the_warm_up_they_are_those_of_transformers(
    fields: dict[str, Any], name: str, specific: dict[str, Any]
) -> None:
    """In the warm-up theirs starts at 0, with a step that moves nothing; ours does not."""
    own, other = rates(schedule(warmup=WARMUP, **fields), 0.3), theirs(name, 0.3, **specific)
    assert own[WARMUP:] == pytest.approx(other[WARMUP:], rel=1e-12, abs=1e-12)
    assert all(ours > its for ours, its in zip(own[:WARMUP], other[:WARMUP], strict=True))


def test_inverse_sqrt_is_that_of_transformers_a_step_later() -> None:
    own, other = rates(schedule(type="inverse_sqrt", warmup=WARMUP), 0.3), theirs("inverse_sqrt", 0.3)
    assert own[:-1] == pytest.approx(other[1:], rel=1e-12)


@pytest.mark.parametrize("kind", ["noam", "inverse_sqrt"])
def test_noam_is_the_papers(kind: str) -> None:
    """Vaswani et al., equation 3, steps from 1: width^-0.5 * min(step^-0.5, step * warmup^-1.5)."""
    chosen, peak = schedule(type=kind, warmup=4000), (512 * 4000) ** -0.5
    for step in (1, 100, 3999, 4000, 4001, 100_000):
        paper = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        assert rate(chosen, peak, step - 1, 0.0) == pytest.approx(paper, rel=1e-12)


def test_the_others_rise_in_a_line_that_starts_above_zero() -> None:
    for kind in ("cosine", "linear", "constant", "wsd"):
        chosen = schedule(type=kind, warmup=9)
        assert [rate(chosen, 1.0, step, 0.0) for step in (0, 4, 8, 9)] == pytest.approx([0.1, 0.5, 0.9, 1.0])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cosine", [1.0, 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2, 0.6, 0.2]),
        ("linear", [1.0, 0.8, 0.6, 0.2]),
        ("wsd", [1.0, 1.0, 1.0, 0.2]),
    ],
)
def test_the_fall(kind: str, expected: list[float]) -> None:
    chosen = schedule(type=kind, warmup=0, minimum=0.2)
    assert [rate(chosen, 1.0, 10, progress) for progress in (0, 0.25, 0.5, 1)] == pytest.approx(expected)


def test_one_minus_the_root() -> None:
    """Hägele et al., 2024: 1 - √((n - N + D) / D) over the last D of N steps."""
    chosen = schedule(type="wsd", warmup=0, minimum=0, decay=0.4, fall="sqrt")
    for step in (59, 60, 61, 80, 99):
        expected = 1 - math.sqrt(max(0, step - 60) / 40)
        assert rate(chosen, 1.0, step, step / 100) == pytest.approx(expected, abs=1e-9)


def test_the_least_is_a_tenth_if_not_said() -> None:
    assert rate(schedule(warmup=0), 3.0, 10, 1.0) == pytest.approx(0.3)


def test_a_warm_up_may_be_a_share() -> None:
    assert schedule(warmup=0.05).settled(2000).warmup == 100
    assert schedule(warmup=7).settled(2000).warmup == 7
    assert schedule(warmup=0).settled(2000).warmup == 0
    assert [schedule().settled(steps).warmup for steps in (3, 50, 999, 1000, 2000)] == [0, 5, 100, 100, 100]
