"""Nothing that is said is ignored: each field of each kind changes the model, and what is not refused runs."""

from __future__ import annotations

import pytest
import torch

import tfdsl
from tests.honoured import GROUPS
from tests.honoured.foundation import POSITIONS

HEAD = """tfdsl: 1
name: m
inputs:
  t: {shape: [B, T], vocab: 40, pad: 0}
  x: {shape: [B, T, 16], dtype: float}
  i: {shape: [B, 3, 8, 8], dtype: float}
blocks: {l: {params: {w: 16}, body: [norm, linear: $w]}, k: [dropout: 0.3]}
model:
  - linear: {from: x, width: 16}
"""


@pytest.mark.parametrize("nodes", GROUPS.values(), ids=GROUPS)
def test_each_field_changes_the_model_and_the_model_runs(nodes: list[str]) -> None:
    texts = []
    for node in nodes:
        checked = tfdsl.check(f"{HEAD}  - {node}\n")
        texts.append(tfdsl.compile(checked))
        model = tfdsl.build(checked).eval()
        given = torch.randint(1, 40, (2, 5)), torch.randn(2, 5, 16), torch.randn(2, 3, 8, 8)
        assert torch.isfinite(model(*given)).all(), node
    assert len(set(texts)) == len(nodes)


@pytest.mark.parametrize("position", POSITIONS)
def test_cross_attention_refuses_relative_positions(position: str) -> None:
    checked = tfdsl.check(f"{HEAD}  - attention: {{heads: 4, kv: x, position: {position}}}\n")
    assert [each.code for each in checked.diagnostics if each.severity == "error"] == ["T214"]
