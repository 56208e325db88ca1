"""Pairs that share rows: each once an epoch, as many as fit; and a model that learns of each what it tells alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as laws
from hypothesis import strategies as st

import tfdsl
from tests.six import spread
from tests.test_packed_pairs import DOCUMENTS, SPEC
from tests.training import texts
from tfdsl import roles, settings, tokens
from tfdsl.training import objectives
from tfdsl.training.pairing import Pairing, fitted
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Place

SOURCES = [[65, 66, 67], [68], [69, 70], [71, 72, 73, 74], [75, 76], [77]]
TARGETS = [[80, 81], [82, 83, 84], [85], [86, 87], [88], [89, 90, 91, 92]]
DATA = texts.prepared(("start", "end"), source=SOURCES, target=TARGETS)
assert DATA.tokenizer is not None
MARKS = tokens.marks(DATA.tokenizer)
PACKED = SPEC.format(cross="", pad=", pad: 0", documents=DOCUMENTS).replace("40", "300")
Sizes = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=60)


def bound(spec: str, packing: str = "whole", context: int = 10) -> Any:
    train = settings.Train.read(
        {"context": context, "objective": "seq2seq", "data": {"source": "x", "packing": packing}}
    )
    return objectives.bind(train, roles.of(tfdsl.check(spec)))


@laws(deadline=None, max_examples=50)
@given(Sizes, st.integers(0, 3))
def test_each_pair_is_in_one_row_that_has_room_for_it(sizes: list[tuple[int, int]], epoch: int) -> None:
    lengths = np.array(sizes)
    order, bounds = Pairing((12, 9), 0).rows(lengths, epoch)
    assert sorted(order.tolist()) == list(range(len(sizes)))
    for first, last in zip(bounds, bounds[1:], strict=False):
        assert last > first
        assert (lengths[order[first:last]].sum(0) <= (12, 9)).all()


def test_rows_are_well_filled_and_a_function_of_seed_and_epoch() -> None:
    lengths = np.random.default_rng(0).lognormal(3, 0.7, (4000, 2)).astype(int).clip(1, 256)
    _, bounds = fitted(lengths.tolist(), (256, 256))
    assert lengths.sum(0).max() / (256 * (len(bounds) - 1)) > 0.85
    rows = [
        Pairing((256, 256), seed).rows(lengths, epoch)[0].tolist() for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
    ]
    assert rows[0] == rows[1] and rows[0] != rows[2] and rows[0] != rows[3]


@pytest.mark.parametrize("cross", ["", ", softcap: 5"])
def test_rows_of_pairs_teach_what_each_pair_teaches_alone(cross: str) -> None:
    task, problems = bound(PACKED.replace("kv: encoder", "kv: encoder" + cross))
    alone, _ = bound(PACKED.replace("kv: encoder", "kv: encoder" + cross), "cut")
    assert task is not None, problems
    task.open(DATA)
    alone.open(DATA)
    rows = task.examples(DATA.train, 0)
    assert rows < alone.examples(DATA.train, 0) == 6
    together = task.batch(DATA.train, [Place(0, row) for row in range(rows)])
    assert list(together.inputs) == ["source", "target", "chapters", "answers"]
    apart = alone.batch(DATA.train, [Place(0, row) for row in range(6)])
    assert list(apart.inputs) == ["source", "target"]
    assert together.count == apart.count == sum(len(each) + 1 for each in TARGETS)
    models = [spread(tfdsl.build(tfdsl.check(PACKED))).double() for _ in range(2)]
    losses = task.loss(models[0], together), alone.loss(models[1], apart)
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-6, atol=1e-6)
    for loss in losses:
        loss.backward()
    for ours, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert ours.grad is not None and theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-5 * float(theirs.grad.abs().max()))


def test_held_out_pairs_have_a_row_each_and_are_written() -> None:
    task, _ = bound(PACKED)
    task.open(DATA)
    assert task.examples(DATA.held_out, HELD_OUT) == 6
    batch = task.batch(DATA.held_out, [Place(HELD_OUT, row) for row in range(6)])
    assert list(batch.inputs) == ["source", "target"]
    made = task.write(tfdsl.build(tfdsl.check(PACKED)).eval(), batch, 4, Processes())
    assert len(made) == 6


def test_pairs_share_rows_where_the_model_is_told_alone() -> None:
    plain = SPEC.format(cross="", pad=", pad: 0", documents="").replace("40", "300")
    _, problems = bound(plain)
    assert [(place, each.code) for place, each in problems] == [("train.data.packing", "R786")]
    found, problems = bound(plain, "cut")
    assert found is not None, problems
