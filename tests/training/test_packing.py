"""Packing: whole documents in rows, each once, none told by another; and a model that learns from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as laws
from hypothesis import strategies as st

import tfdsl
from tests.six import spread
from tests.test_costing import tiny
from tests.training import texts
from tests.training.runs import chosen, signature
from tfdsl import roles, settings
from tfdsl.checking import Checked
from tfdsl.data.table import Ragged, Table
from tfdsl.ragged import ragged
from tfdsl.training import objectives, subject, train
from tfdsl.training.crossentropy import IGNORED
from tfdsl.training.packing import Cut, Packing, Whole, fitted, pieces
from tfdsl.training.task import HELD_OUT, Place, Task

SPEC = """
tfdsl: 1
name: packed
inputs:
  tokens: {shape: [B, T], vocab: 60}
  documents: {shape: [B, T], parts: tokens}
outputs: {logits: [B, T, 60]}
model:
  - embed: {id: tok, from: tokens, width: 16}
  - position: {type: learned, length: 16}
  - residual: [norm, attention: {heads: 4, mask: causal, position: rope}]
  - residual: [norm, ffn: 32]
  - unembed: {id: logits, tie: tok}
"""
Lengths = st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(lambda sizes: max(sizes) > 1)


def text(sizes: list[int]) -> Ragged:
    return Ragged(np.arange(sum(sizes), dtype=np.uint16), np.cumsum([0, *sizes]))


def all_rows(packing: Packing, of: Ragged, epoch: int) -> Any:
    return packing.rows(of, [Place(epoch, index) for index in range(packing.examples(of, epoch))])


@laws(deadline=None, max_examples=60)
@given(Lengths, st.integers(1, 16), st.integers(0, 3), st.booleans())
def test_each_token_that_follows_another_is_told_once_an_epoch(
    sizes: list[int], context: int, seed: int, apart: bool
) -> None:
    of = text(sizes)
    for epoch in (0, 1, HELD_OUT):
        rows = all_rows(Whole(context, seed, apart, pad=9), of, epoch)
        told = rows.targets[rows.targets != IGNORED]
        firsts = set(of.offsets[:-1].tolist())
        assert sorted(told.tolist()) == [place for place in range(len(of.values)) if place not in firsts]
        assert torch.equal(rows.tokens[rows.keep] + 1, rows.targets[rows.keep])
        assert (rows.tokens[~rows.keep] == 9).all()
        if apart:
            owners = np.searchsorted(of.offsets, rows.tokens.numpy(), side="right")
            same = rows.documents[:, 1:] == rows.documents[:, :-1]
            real = rows.keep[:, 1:] & rows.keep[:, :-1]
            assert torch.equal(same[real], torch.from_numpy(owners[:, 1:] == owners[:, :-1])[real])


@laws(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=60))
def test_best_fit_is_that_of_the_definition(sizes: list[int]) -> None:
    room = 20
    sizes = sorted(sizes, reverse=True)
    rows: list[list[int]] = []
    for piece, size in enumerate(sizes):
        left = [room - sum(sizes[each] for each in row) for row in rows]
        fits = [each for each in left if each >= size]
        if fits:
            rows[len(left) - 1 - left[::-1].index(min(fits))].append(piece)
        else:
            rows.append([piece])
    order_, bounds = fitted(sizes, room)
    found = [order_[first:last].tolist() for first, last in zip(bounds, bounds[1:], strict=False)]
    assert sorted(map(sum_of(sizes), found)) == sorted(map(sum_of(sizes), rows))
    assert sorted(each for row in found for each in row) == list(range(len(sizes)))
    assert max(map(sum_of(sizes), found)) <= room


def sum_of(sizes: list[int]) -> Any:
    return lambda row: sum(sizes[each] for each in row)


def test_a_document_longer_than_a_row_is_cut_and_no_other() -> None:
    first, sizes = pieces(np.cumsum([0, 5, 1, 24, 11, 0, 3]), 10)
    assert list(zip(first.tolist(), sizes.tolist(), strict=True)) == [
        (0, 4), (6, 10), (16, 10), (26, 3), (30, 10), (41, 2)
    ]  # fmt: skip


def test_rows_are_well_filled() -> None:
    lengths = np.random.default_rng(0).lognormal(4, 1, 4000).astype(int) + 2
    packing, of = Whole(512, 0, apart=True), text(lengths.tolist())
    assert int((lengths - 1).sum()) / (512 * packing.examples(of, 0)) > 0.97


def test_rows_are_a_function_of_seed_and_epoch() -> None:
    of = text([3, 4, 5] * 20)
    one, two = Whole(8, 1, apart=True), Whole(8, 1, apart=True)
    far, near = all_rows(one, of, 3), all_rows(two, of, 0)
    assert torch.equal(all_rows(two, of, 3).tokens, far.tokens)
    assert not torch.equal(near.tokens, far.tokens)
    assert not torch.equal(all_rows(Whole(8, 2, apart=True), of, 3).tokens, far.tokens)
    assert one.examples(of, 0) == one.examples(of, 7)


def test_windows_tell_the_model_where_documents_begin() -> None:
    of = text([5, 4, 30])
    rows = Cut(8, 0, apart=True).rows(of, [Place(HELD_OUT, 0), Place(HELD_OUT, 1)])
    assert rows.documents is not None
    assert rows.tokens.tolist()[0] == list(range(8))
    assert rows.documents.diff(dim=1).tolist() == [[0, 0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0]]
    assert rows.targets.tolist() == [[1, 2, 3, 4, IGNORED, 6, 7, 8], [IGNORED, 10, 11, 12, 13, 14, 15, 16]]


def task(packing: str, spec: str | Checked = SPEC) -> Task:
    train = settings.Train.read({"context": 16, "data": {"source": "x", "packing": packing}})
    found, problems = objectives.bind(train, roles.of(tfdsl.check(spec)))
    assert found is not None, problems
    return found


def of_spec(name: str) -> Checked:
    """Return a spec of ours at tiny sizes, with an input of documents."""
    found = tfdsl.check(SPEC) if name == "packed" else ragged(tiny(name))
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["packed", "mamba2", "hybrid", "qwen3_next", "jamba", "performer"])
def test_packed_rows_teach_what_each_document_teaches_alone(name: str) -> None:
    sizes = [7, 3, 12, 17, 2, 1, 9]
    values = torch.randint(0, 60, (sum(sizes),), generator=torch.Generator().manual_seed(0)).numpy().astype(np.uint16)
    table = Table({"text": Ragged(values, np.cumsum([0, *sizes]))})
    checked = of_spec(name)
    models: list[Any] = [spread(tfdsl.build(checked)).double().eval() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    made = task("whole", checked)
    rows = made.examples(table, 0)
    together = made.loss(models[0], made.batch(table, [Place(0, index) for index in range(rows)]))
    assert rows == 3
    alone = torch.zeros((), dtype=torch.float64)
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        words = torch.from_numpy(values[start : start + size].astype(np.int64))
        if size > 1:
            scores = models[1](words[None, :-1])[0]
            alone = alone + torch.nn.functional.cross_entropy(scores, words[1:], reduction="sum")
    torch.testing.assert_close(together.double(), alone, rtol=1e-6, atol=1e-6)
    together.backward()
    alone.backward()
    for ours, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert ours.grad is not None and theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-5 * float(theirs.grad.abs().max()))


def test_without_documents_each_has_a_row_of_its_own() -> None:
    spec = SPEC.replace("  documents: {shape: [B, T], parts: tokens}\n", "").replace("vocab: 60}", "vocab: 60, pad: 5}")
    of = text([4, 3, 6])
    made = task("whole", spec)
    batch = made.batch(Table({"text": of}), [Place(HELD_OUT, index) for index in range(3)])
    assert list(batch.inputs) == ["tokens"]
    assert batch.inputs["tokens"][:, :5].tolist() == [[0, 1, 2, 5, 5], [4, 5, 5, 5, 5], [7, 8, 9, 10, 11]]
    assert (batch.count, batch.tokens) == (10, 48)


def test_places_begin_again_with_each_document() -> None:
    spec = SPEC.replace("inputs:\n", "inputs:\n  places: {shape: [B, T], vocab: 16}\n").replace(
        "  - position: {type: learned, length: 16}\n", "  - sum: [[scale: 1], [embed: {from: places, width: 16}]]\n"
    )
    batch = task("cut", spec.replace("parts: tokens", "parts: [tokens, places]")).batch(
        Table({"text": text([5, 40])}), [Place(HELD_OUT, 0)]
    )
    assert batch.inputs["places"].tolist() == [[*range(5), *range(11)]]


def test_what_would_be_silently_something_else_is_refused() -> None:
    train = settings.Train.read({"context": 16, "data": {"source": "x", "packing": "whole"}})
    _, problems = objectives.bind(train, signature())
    assert [(place, each.code) for place, each in problems] == [("train.data.packing", "R787")]
    other = settings.Train.read({"objective": "masked_token", "data": {"source": "x", "packing": "whole"}})
    _, problems = objectives.bind(other, signature())
    assert [each.code for _, each in problems] in (["R786"], ["R701"])  # R701: an objective that is not built yet


MAMBA = SPEC.replace("attention: {heads: 4, mask: causal, position: rope}", "mamba2: {heads: 4, head_dim: 4, state: 8}")


@pytest.mark.parametrize(("packing", "spec"), [("cut", SPEC), ("whole", SPEC), ("whole", MAMBA)])
def test_a_model_learns_from_documents_that_share_rows(tmp_path: Path, packing: str, spec: str) -> None:
    folder = tmp_path / "poems"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02}.txt").write_text("abcdefghijklmnopqrstuvwxyz"[: 5 + number % 20] * (1 + number % 3))
    fields = {
        "data": {"source": str(folder), "packing": packing},
        "context": 16,
        "steps": 150,
        "batch": 8,
        "optimizer": {"lr": 3e-2},
    }
    outcome, problems = train(subject.of(tfdsl.check(spec)), chosen(tmp_path, **fields), tmp_path / "run")
    assert outcome is not None, problems
    assert outcome.loss < 1.0  # nats a letter; 3.2 where all are alike


@pytest.mark.parametrize("objective", ["masked_token", "replaced_token"])
def test_hidden_words_are_told_their_documents(objective: str) -> None:
    spec = SPEC.replace("mask: causal, ", "").replace("60", "300")
    if objective == "replaced_token":
        spec = spec.replace("[B, T, 300]", "[B, T]").replace("{id: logits, tie: tok}", "1")
        spec += "  - rearrange: {id: logits, pattern: b t () -> b t}\n"
    data = texts.prepared(("mask", "first", "separator"), text=[[65] * 5, [66] * 4, [67] * 40])
    train = settings.Train.read({"context": 16, "objective": objective, "data": {"source": "x"}})
    made, problems = objectives.bind(train, roles.of(tfdsl.check(spec)))
    assert made is not None, problems
    made.open(data)
    batch = made.batch(data.train, [Place(HELD_OUT, 0)])
    assert list(batch.inputs) == ["tokens", "documents"]
    assert batch.inputs["documents"].tolist() == [[1] * 6 + [2] * 4 + [3] * 6]  # a mark at either end
