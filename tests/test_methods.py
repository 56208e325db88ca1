"""Models with methods other than softmax: decoding with one state, padding, cost and compilation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tfdsl
from tests import measure
from tfdsl import building
from tfdsl.checking import Checked

SPEC = """
tfdsl: 1
name: kernels
inputs: {{t: {{shape: [B, T], vocab: 50{pad}}}}}
outputs: {{logits: [B, T, 50]}}
blocks:
  layer:
    - residual: [norm, attention: {{heads: 4, {fields}}}]
    - residual: [norm, ffn: 24]
model:
  - embed: {{id: tok, from: t, width: 16}}
  - position: sinusoidal
  - repeat: {{block: layer, times: 2}}
  - unembed: {{id: logits, tie: tok}}
"""
CAUSAL = {
    "linear": "mask: causal, method: {type: linear, chunk: 8}",
    "grouped": "mask: causal, kv_heads: 2, position: rope, method: {type: linear, feature: relu2, chunk: 8}",
    "performer": "mask: causal, method: {type: performer, features: 12, chunk: 8}",
}
WHOLE = {
    "linear everywhere": "method: linear",
    "performer everywhere": "kv_heads: 2, method: {type: performer, features: 12, kernel: relu, eps: 1e-3}",
    "low_rank": "method: {type: low_rank, rank: 6, length: 40}",
    "low_rank, each": "kv_heads: 2, method: {type: low_rank, rank: 6, length: 40, share: none}",
    "low_rank, one": "method: {type: low_rank, rank: 6, length: 40, share: keys_values}",
    "low_rank, layers": "method: {type: low_rank, rank: 6, length: 40, share: layers}",
}
METHODS = CAUSAL | WHOLE


def spec(name: str, pad: bool = False) -> Checked:
    checked = tfdsl.check(SPEC.format(fields=METHODS[name], pad=", pad: 0" if pad else ""))
    assert checked.ok, checked.diagnostics
    return checked


def built(name: str, pad: bool = False) -> Any:
    model = tfdsl.build(spec(name, pad)).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(1, 50, (batch, length), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL)
def test_decoding_keeps_one_state_and_gives_what_one_forward_gives(name: str) -> None:
    model, given = built(name), tokens(2, 37)
    whole, cache, parts, sizes = model(given), model.new_cache(37), list[torch.Tensor](), set[int]()
    for part in given.split([5, 1, 1, 20, 1, 9], dim=1):
        parts.append(model(part, cache=cache))
        sizes.add(sum(entry.untyped_storage().nbytes() for entry in cache.entries))
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-10, atol=1e-12)
    assert len(sizes) == 1
    assert tfdsl.cost(spec(name), {"B": 2, "T": 37}).cache == sizes.pop() // 2  # float64


@torch.no_grad()
@pytest.mark.parametrize("name", METHODS)
def test_what_padding_holds_changes_nothing(name: str) -> None:
    model, given = built(name, pad=True), tokens(2, 30)
    given[0, -7:], given[1, :7] = 0, 0
    before, table = model(given), next(iter(model.parameters()))
    table[0] += 1
    after = model(given)
    assert before.isfinite().all()
    torch.testing.assert_close(after[given != 0][:, 1:], before[given != 0][:, 1:], rtol=1e-10, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL)
def test_decoding_behind_left_padding(name: str) -> None:
    model, given = built(name, pad=True), tokens(2, 21)
    given[0, :6] = 0
    whole, cache = model(given), model.new_cache(21)
    parts = [model(part, cache=cache) for part in given.split([9, 1, 11], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1)[given != 0], whole[given != 0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_cost_is_what_pytorch_counts_and_keeps(name: str) -> None:
    checked = spec(name)
    model, real = building.meta(checked), building.build(checked)
    for length in (7, 8, 9, 37):
        axes = {"B": 3, "T": length}
        cost = tfdsl.cost(checked, axes)
        assert (cost.forward, cost.training) == measure.flops(model, measure.inputs(checked, axes, "meta")), length
        assert cost.activations == pytest.approx(measure.kept(real, measure.inputs(checked, axes)), rel=0.03), length


@torch.no_grad()
@pytest.mark.parametrize("name", ["grouped", "performer", "low_rank, layers"])
def test_compiles_in_one_graph(name: str) -> None:
    model, given = built(name), tokens(1, 37)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(given), model(given), rtol=1e-10, atol=1e-12)


def test_random_features_are_saved_and_not_trained() -> None:
    model = tfdsl.build(spec("performer"))
    kept = {name: each for name, each in model.state_dict().items() if name.endswith("projection")}
    assert [tuple(each.shape) for each in kept.values()] == [(12, 4), (12, 4)]
    assert not [name for name, _ in model.named_parameters() if name.endswith("projection")]
    again = tfdsl.build(spec("performer"))
    assert all(torch.equal(again.state_dict()[name], each) for name, each in kept.items())


REFUSED = {
    "mask: {type: sliding, window: 3}, method: linear": "T234",
    "mask: {type: prefix, length: 3}, method: performer": "T234",
    "position: t5, method: linear": "T234",
    "scale: 0.5, method: linear": "T234",
    "dropout: 0.1, method: performer": "T234",
    "softcap: 5, method: linear": "T234",
    "sinks: learned, method: performer": "T234",
    "talking_heads: both, method: linear": "T234",
    "mask: causal, method: {type: low_rank, rank: 6, length: 40}": "T234",
    "position: t5, method: {type: low_rank, rank: 6, length: 40}": "T234",
    "method: {type: low_rank, rank: 6}": "T235",
}


@pytest.mark.parametrize("fields", REFUSED)
def test_what_does_not_go_together_is_refused(fields: str) -> None:
    checked = tfdsl.check(SPEC.format(fields=fields, pad=""))
    assert [each.code for each in checked.diagnostics] == [REFUSED[fields]], checked.diagnostics


def test_a_sequence_is_no_longer_than_its_sums() -> None:
    checked = spec("low_rank")
    assert checked.limits == {"T": 40}
