"""Models with masks: decoding, padding, cost and compilation, on short sequences and on long ones."""

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
name: masked
inputs: {{t: {{shape: [B, T], vocab: 50{pad}}}}}
outputs: {{logits: [B, T, 50]}}
blocks:
  layer:
    - residual: [norm, attention: {{heads: 4, mask: {mask}{more}}}]
    - residual: [norm, ffn: 24]
model:
  - embed: {{id: tok, from: t, width: 16}}
  - position: sinusoidal
  - repeat: {{block: layer, times: 2}}
  - unembed: {{id: logits, tie: tok}}
"""
CAUSAL = {
    "causal": "causal",
    "sliding": "{type: sliding, window: 40}",
    "sinks": "{type: sliding, window: 40, global: 3}",
    "chunked": "{type: chunked, size: 24}",
    "dilated": "{type: dilated, window: 20, step: 3}",
    "block_sparse": "{type: block_sparse, block: 16, causal: true, local: 2, random: 2}",
    "prefix": "{type: prefix, length: 5}",
}
WHOLE = {
    "symmetric": "{type: sliding, window: 40, causal: false}",
    "global": "{type: sliding, window: 40, causal: false, global: 3}",
    "longformer": "{type: sliding, window: 40, causal: false, global: 3, global_projections: true}",
    "chunks": "{type: chunked, size: 24, causal: false}",
    "strides": "{type: dilated, window: 20, step: 3, causal: false}",
    "bigbird": "{type: block_sparse, block: 16}",
    "again": "{type: block_sparse, block: 16, draw: false}",
}
MASKS = CAUSAL | WHOLE
SHORT, LONG = 23, 293


def spec(name: str, more: str = "", pad: bool = False) -> Checked:
    checked = tfdsl.check(
        SPEC.format(mask=MASKS[name], more=f", {more}" if more else "", pad=", pad: 0" if pad else "")
    )
    assert checked.ok, checked.diagnostics
    return checked


def built(name: str, more: str = "", pad: bool = False) -> Any:
    model = tfdsl.build(spec(name, more, pad)).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(1, 50, (batch, length), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("length", [SHORT, LONG])
def test_decoding_gives_what_one_forward_gives(name: str, length: int) -> None:
    model, given = built(name, "kv_heads: 2, position: rope"), tokens(1, length)
    whole = model(given)
    for ends in ((6, length - 1, length), (length - 1, length)):
        cache, start, parts = model.new_cache(length), 0, list[torch.Tensor]()
        for end in ends:
            parts.append(model(given[:, start:end], cache=cache))
            start = end
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-9, atol=1e-11)


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL)
def test_decoding_behind_left_padding(name: str) -> None:
    model, given = built(name, pad=True), tokens(2, SHORT)
    given[0, :3] = 0
    whole, cache = model(given), model.new_cache(SHORT)
    parts = [model(part, cache=cache) for part in given.split([6, 10, SHORT - 16], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1)[given != 0], whole[given != 0], rtol=1e-9, atol=1e-11)


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL)
def test_a_position_does_not_see_later_ones(name: str) -> None:
    model, given = built(name), tokens(1, LONG)
    changed = given.clone()
    changed[:, 150:] = changed[:, 150:] % 49 + 1
    torch.testing.assert_close(model(changed)[:, :150], model(given)[:, :150], rtol=1e-12, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("length", [SHORT, LONG])
def test_what_padding_holds_changes_nothing(name: str, length: int) -> None:
    """One row in which the padding stands for other numbers: the model's own table of word 0 is changed."""
    model, given = built(name, pad=True), tokens(2, length)
    given[0, -7:] = 0
    given[1, :7] = 0
    before = model(given)
    assert before.isfinite().all()
    tok = next(iter(model.parameters()))
    row = tok[0].clone()
    tok[0] += 1
    after = model(given)
    tok[0] = row
    torch.testing.assert_close(after[given != 0][:, 1:], before[given != 0][:, 1:], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", MASKS)
def test_flops_are_those_that_pytorch_counts(name: str) -> None:
    checked = spec(name, "kv_heads: 4, bias: true")
    model = building.meta(checked)
    for length in (256, 257):
        cost = tfdsl.cost(checked, {"B": 3, "T": length})
        given = measure.inputs(checked, {"B": 3, "T": length}, "meta")
        assert (cost.forward, cost.training) == measure.flops(model, given), length


@pytest.mark.parametrize("name", MASKS)
def test_activations_are_those_that_autograd_keeps(name: str) -> None:
    checked = spec(name)
    for length in (SHORT, LONG):
        real = measure.kept(building.build(checked), measure.inputs(checked, {"B": 2, "T": length}))
        assert tfdsl.cost(checked, {"B": 2, "T": length}).activations == pytest.approx(real, rel=0.01), length


@torch.no_grad()
@pytest.mark.parametrize("name", ["sinks", "chunked", "strides", "bigbird"])
def test_long_sequences_compile_in_one_graph(name: str) -> None:
    model, given = built(name), tokens(1, LONG)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(given), model(given), rtol=1e-10, atol=1e-12)
