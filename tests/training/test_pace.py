"""The count of threads that is faster is the one in use."""

from tfdsl.training.pace import Pace


def used(most: int, steps: int, seconds: dict[int, float], later: dict[int, float]) -> list[int]:
    """Return the count in use a step, where one with n threads takes `seconds[n]`, after half of them `later[n]`."""
    now: list[int] = []
    counts: list[int] = []
    pace = Pace(most, now.append)
    for step in range(steps):
        counts.append(now[-1])
        pace.stepped((seconds if step < steps / 2 else later)[now[-1]])
    return counts


def test_all_threads_are_used_where_they_are_faster() -> None:
    idle = {1: 0.17, 2: 0.1}
    assert used(2, 60, idle, idle) == [1] * 2 + [2] * 58


def test_one_thread_stays_on_a_busy_machine_and_the_others_are_tried_ever_more_seldom() -> None:
    busy = {1: 1.0, 2: 5.0}
    counts = used(2, 100, busy, busy)
    assert [step for step, count in enumerate(counts) if count == 2] == [2, 24, 66]


def test_the_count_follows_the_machine() -> None:
    busy, idle = {1: 1.0, 2: 2.0}, {1: 1.0, 2: 0.6}
    freed = used(2, 100, busy, idle)
    assert freed[40] == 1
    assert freed[-1] == 2
    taken = used(2, 100, idle, busy)
    assert taken[40] == 2
    assert taken[-1] == 1


def test_one_thread_has_no_other() -> None:
    assert used(1, 10, {1: 0.1}, {1: 0.1}) == [1] * 10
