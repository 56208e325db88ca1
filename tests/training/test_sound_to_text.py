"""seq2seq from numbers: what the model is given, and what does not fit."""

import numpy as np
import pytest
import torch

from tests.training.records import END, START, bound, model, numbers, prepared, texts
from tfdsl.training.task import Place

EAR = """
tfdsl: 1
name: ear
inputs:
  sound: {shape: [B, 4, 6], dtype: float}
  target: {shape: [B, T], vocab: 261}
outputs: {logits: [B, T, 261]}
model:
  encoder: [rearrange: {from: sound, pattern: b c t -> b t c}, linear: 8]
  decoder:
    - embed: {from: target, width: 8}
    - residual: [attention: {heads: 2, mask: causal}]
    - residual: [attention: {heads: 2, kv: encoder}]
    - linear: {id: logits, width: 261}
"""
SOUNDS = np.random.default_rng(0).normal(size=(3, 4, 6))
DATA = prepared(sound=numbers(SOUNDS, np.float32), target=texts("12", "3", "456"))


def test_the_target_is_written_behind_its_start() -> None:
    task = bound(EAR, objective="seq2seq")
    assert task.against(DATA) == []
    task.open(prepared_with_sizes())
    batch = task.batch(DATA.train, [Place(0, 2), Place(0, 1)])
    assert list(batch.inputs) == ["sound", "target"]
    assert np.allclose(batch.inputs["sound"].numpy(), SOUNDS[[2, 1]])
    assert batch.inputs["target"][0].tolist() == [START, *b"456"]
    assert batch.targets["tokens"].tolist() == [[*b"456", END], [*b"3", END, -100, -100]]
    assert batch.count == 6
    logits = model(EAR).float()(*batch.inputs.values())
    wanted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets["tokens"].flatten(), reduction="sum")
    assert task.loss(lambda *_: logits, batch).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_sounds_of_another_shape_and_targets_that_are_too_long() -> None:
    other = prepared(sound=numbers(SOUNDS[:, :, :5], np.float32), target=texts("12", "3", "4567890"))
    found = bound(EAR, objective="seq2seq", context=6).against(other)
    assert [(where, said.code) for where, said in found] == [("inputs.sound", "R805"), ("train.context", "R793")]


def prepared_with_sizes():
    table = DATA.train.__class__(DATA.train.columns, {"target": 6})
    return DATA.__class__(table, table, DATA.tokenizer)
