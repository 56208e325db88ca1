"""Batches: a function of seed and step that shows each window once an epoch."""

import numpy as np
import torch

from tfdsl.training.batches import Batches, in_order

TEXT = np.arange(1001, dtype=np.uint16)


def starts(batches: Batches, steps: range) -> list[int]:
    return [int(row[0]) for step in steps for row in batches.at(step)[0]]


def test_targets_follow_inputs() -> None:
    inputs, targets = Batches(TEXT, rows=4, context=10, seed=1).at(3)
    assert inputs.shape == targets.shape == (4, 10)
    assert inputs.dtype == torch.int64
    assert torch.equal(targets, inputs + 1)


def test_a_batch_needs_no_history() -> None:
    asked = Batches(TEXT, rows=4, context=10, seed=1)
    inorder = [asked.at(step)[0] for step in range(80)]
    fresh = [Batches(TEXT, rows=4, context=10, seed=1).at(step)[0] for step in reversed(range(80))][::-1]
    assert all(map(torch.equal, inorder, fresh))


def test_an_epoch_shows_each_window_once() -> None:
    seen = starts(Batches(TEXT, rows=9, context=10, seed=3), range(11))  # 99 windows fit at any phase
    assert len(set(seen)) == 99
    assert len({start % 10 for start in seen}) == 1
    assert max(seen) + 10 <= 1000


def test_seeds_and_epochs_differ() -> None:
    one, two = (starts(Batches(TEXT, 9, 10, seed), range(22)) for seed in (0, 1))
    assert one != two
    assert one[:99] != one[99:]


def test_more_processes_take_slices_of_the_same_batch() -> None:
    whole = starts(Batches(TEXT, rows=8, context=10, seed=5), range(40))
    assert starts(Batches(TEXT, rows=4, context=10, seed=5), range(80)) == whole


def test_the_shortest_text_has_one_window() -> None:
    inputs, targets = Batches(TEXT[:12], rows=2, context=10, seed=0).at(7)
    assert torch.equal(targets, inputs + 1)


def test_in_order_each_token_is_a_target_once() -> None:
    pairs = list(in_order(TEXT[:996], rows=7, context=10))
    assert torch.cat([targets.flatten() for _, targets in pairs]).tolist() == list(range(1, 996))
    assert pairs[-1][0].shape == (1, 5)


def test_in_order_some_are_spread() -> None:
    inputs = torch.cat([inputs for inputs, _ in in_order(TEXT, rows=3, context=10, most=5)])
    assert inputs[:, 0].tolist() == [0, 200, 400, 600, 800]
