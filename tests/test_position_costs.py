"""What positions cost, against what PyTorch counts and autograd keeps."""

from __future__ import annotations

import pytest

import tfdsl
from tests import measure
from tfdsl import building

SPEC = """
tfdsl: 1
name: positions
inputs: {{tokens: {{shape: [B, T], vocab: 40}}}}
model:
  - embed: {{from: tokens, width: 32}}
  - norm
  - repeat: {{times: 2, body: [attention: {{heads: 4, mask: {mask}, position: {position}}}]}}
"""
POSITIONS = [
    "{type: rope, fraction: 0.5}",
    "{type: rope, dim: 4, end: true, style: interleaved, scaling: {type: yarn, factor: 2, length: 8}}",
    "t5",
    "{type: t5, share: tab}",
    "alibi",
    "kerple",
    "{type: kerple, form: power, share: tab}",
    "{type: shaw, max_distance: 5}",
    "{type: shaw, max_distance: 3, ahead: 1, both: true}",
    "{type: shaw, max_distance: 5, values: true}",
    "{type: shaw, max_distance: 3, ahead: 1, both: true, values: true}",
    "transformer_xl",
    "{type: deberta, max_distance: 6}",
    "{type: deberta, max_distance: 9, buckets: 8, norm: 1e-7, project: own, key_bias: true}",
    "{type: deberta, max_distance: 6, terms: content_to_position}",
    "{type: deberta, max_distance: 6, terms: position_to_content}",
]


@pytest.mark.parametrize("mask", ["full", "causal"])
@pytest.mark.parametrize("position", POSITIONS)
def test_positions_cost_what_pytorch_counts(position: str, mask: str) -> None:
    checked, axes = tfdsl.check(SPEC.format(position=position, mask=mask)), {"B": 2, "T": 16}
    cost, model = tfdsl.cost(checked, axes), building.meta(checked)
    assert (cost.forward, cost.training) == measure.flops(model, measure.inputs(checked, axes, "meta"))
    assert cost.parameters == sum(each.numel() for each in model.parameters())
    # What differs is masks of a byte an element.
    real = measure.kept(building.build(checked), measure.inputs(checked, axes))
    assert cost.activations == pytest.approx(real, rel=0.01)
