"""Learning rates against the papers' formulas, the schedules of `transformers`, and points that are known by hand."""

import math
from typing import Any

import pytest
import torch
import transformers

from tfdsl.settings import Schedule, Train
from tfdsl.training.schedule import rate

STEPS, WARMUP = 50, 8
FALLS = ("linear", "cosine", "sqrt")


def schedule(**fields: Any) -> Schedule:
    return Train.read({"schedule": fields, "optimizer": {"lr": 1.0}}).schedule


def rates(chosen: Schedule, peak: float, steps: int = STEPS) -> list[float]:
    """Return the rates of the steps 1 to `steps`."""
    return [rate(chosen, peak, step, steps) for step in range(1, steps + 1)]


def theirs(name: str, peak: float, **specific: Any) -> list[float]:
    """Return the rates of a second step on, and the one behind the last: their first step has a rate of 0."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    made = transformers.get_scheduler(name, optimizer, WARMUP, STEPS, scheduler_specific_kwargs=specific)
    found: list[float] = []
    for _ in range(STEPS):
        optimizer.step()
        made.step()
        found.append(made.get_last_lr()[0])
    return found


FALL = round(0.5 * (STEPS - WARMUP))


@pytest.mark.parametrize(
    ("fields", "name", "specific"),
    [
        ({"type": "constant"}, "constant_with_warmup", {}),
        ({"type": "inverse_sqrt"}, "inverse_sqrt", {}),
        ({"type": "linear", "minimum": 0}, "linear", {}),
        ({"type": "cosine", "minimum": 0}, "cosine", {}),
        ({"type": "cosine", "minimum": 0.03}, "cosine_with_min_lr", {"min_lr": 0.03}),
        (
            {"type": "wsd", "minimum": 0.0, "decay": 0.5},
            "warmup_stable_decay",
            {"num_decay_steps": FALL, "decay_type": "linear"},
        ),
        (
            {"type": "wsd", "minimum": 0.0, "decay": 0.5, "fall": "cosine"},
            "warmup_stable_decay",
            {"num_decay_steps": FALL, "decay_type": "cosine"},
        ),
    ],
)
def test_they_are_those_of_transformers_a_step_later(
    fields: dict[str, Any], name: str, specific: dict[str, Any]
) -> None:
    """Theirs count steps from 0: a first step that moves nothing, and a last one that is not at the minimum."""
    own = rates(schedule(warmup=WARMUP, **fields), 0.3)
    assert own == pytest.approx(theirs(name, 0.3, **specific), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("kind", ["noam", "inverse_sqrt"])
def test_noam_is_the_papers(kind: str) -> None:
    """Vaswani et al., equation 3, steps from 1: width^-0.5 * min(step^-0.5, step * warmup^-1.5)."""
    chosen, peak = schedule(type=kind, warmup=4000), (512 * 4000) ** -0.5
    for step in (1, 100, 3999, 4000, 4001, 100_000):
        paper = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        assert rate(chosen, peak, step, 200_000) == pytest.approx(paper, rel=1e-12)


KINDS = ("constant", "linear", "cosine", "inverse_sqrt", "noam", "wsd")


@pytest.mark.parametrize("kind", KINDS)
def test_all_rise_to_lr_at_the_last_step_of_the_warm_up(kind: str) -> None:
    own = rates(schedule(type=kind, warmup=10), 1e-2)
    assert own[:10] == pytest.approx([1e-3 * step for step in range(1, 11)], rel=1e-12)
    assert own[9] == max(own) == 1e-2
    assert rates(schedule(type=kind, warmup=0), 1e-2)[0] == 1e-2


@pytest.mark.parametrize("warmup", [0, 1, 10, STEPS - 2, STEPS - 1])
@pytest.mark.parametrize(
    "fields", [{"type": "linear"}, {"type": "cosine"}, *({"type": "wsd", "fall": fall} for fall in FALLS)]
)
def test_the_last_step_has_the_minimum(fields: dict[str, Any], warmup: int) -> None:
    for minimum in (0.0, 2e-3):
        assert rates(schedule(warmup=warmup, minimum=minimum, **fields), 1e-2)[-1] == minimum
    assert rates(schedule(warmup=warmup, **fields), 1e-2)[-1] == 1e-3  # a tenth of `lr`, if nothing is said


def test_a_warm_up_as_long_as_the_run_ends_at_lr() -> None:
    assert rates(schedule(warmup=STEPS, minimum=0), 1e-2)[-1] == 1e-2
    assert rates(schedule(warmup=2 * STEPS), 1e-2)[-1] == pytest.approx(5e-3)
    assert rates(schedule(warmup=0), 1e-2, steps=1) == [1e-2]


def left(kind: str, way: float) -> float:
    """Return what docs/training.md says is left of the fall when the share `way` of it is gone."""
    return {"linear": 1 - way, "cosine": (1 + math.cos(math.pi * way)) / 2, "sqrt": 1 - math.sqrt(way)}[kind]


@pytest.mark.parametrize("warmup", [0, 1, 10])
def test_the_fall_is_that_of_the_page(warmup: int) -> None:
    """p = (t - W) / (N - W), or 1 for W where the warm-up is 0."""
    peak, low, first = 1e-2, 2e-3, max(1, warmup)
    for step in range(first, STEPS + 1):
        way = (step - first) / (STEPS - first)
        for kind in ("linear", "cosine"):
            own = rate(schedule(type=kind, warmup=warmup, minimum=low), peak, step, STEPS)
            assert own == pytest.approx(low + (peak - low) * left(kind, way), rel=1e-12)
        for kind in FALLS:
            own = rate(schedule(type="wsd", warmup=warmup, minimum=low, decay=0.3, fall=kind), peak, step, STEPS)
            fallen = max(0.0, 1 - (1 - way) / 0.3)
            assert own == pytest.approx(low + (peak - low) * left(kind, fallen), rel=1e-12)


def test_one_minus_the_root() -> None:
    """Hägele et al., 2024: 1 - √((n - N + D) / D) over the last D of N steps."""
    chosen = schedule(type="wsd", warmup=20, minimum=0, decay=0.5, fall="sqrt")
    for step in (59, 60, 61, 80, 100):
        expected = 1 - math.sqrt(max(0, step - 60) / 40)
        assert rate(chosen, 1.0, step, 100) == pytest.approx(expected, abs=1e-9)


def test_what_falls_falls_by_the_clock_where_it_is_further_along() -> None:
    chosen = schedule(type="linear", warmup=10, minimum=0)
    assert [rate(chosen, 1.0, 30, STEPS, clock) for clock in (0, 0.5, 0.75, 1)] == pytest.approx([0.5, 0.5, 0.25, 0])
    assert rate(chosen, 1.0, 5, STEPS, 0.9) == 0.5  # the warm-up is one of steps
    assert rate(schedule(type="inverse_sqrt", warmup=10), 1.0, 40, STEPS, 0.9) == 0.5


def test_the_least_is_a_tenth_if_not_said() -> None:
    assert rate(schedule(warmup=0), 3.0, 10, 10) == pytest.approx(0.3)


def test_a_warm_up_may_be_a_share() -> None:
    assert schedule(warmup=0.05).settled(2000).warmup == 100
    assert schedule(warmup=7).settled(2000).warmup == 7
    assert schedule(warmup=0).settled(2000).warmup == 0
    assert [schedule().settled(steps).warmup for steps in (3, 50, 999, 1000, 2000)] == [0, 5, 100, 100, 100]
