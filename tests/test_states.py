"""What the mixers cost, and what they keep from one forward to the next."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tfdsl
from tests import foreign, measure
from tfdsl import building

NODES = [
    "short_conv: {size: 3, bias: true}",
    "short_conv: {size: 4, gated: false, conv_bias: true}",
    "mamba2: {heads: 4, head_dim: 10, state: 6, chunk: 16}",
    "mamba2: {heads: 4, head_dim: 10, state: 6, chunk: 16, norm: none, dt_max: 0.1, multipliers: [1, 2, 3, 4, 5]}",
    "mamba: {inner: 40, state: 5, rank: 3}",
    "mamba: {inner: 40, state: 5, rank: 3, norm: rms}",
    "gated_delta: {heads: 4, key_heads: 2, key_dim: 6, value_dim: 5, chunk: 16}",
    "latent_attention: {heads: 4, kv_rank: 14, head_dim: 10, rope_dim: 4, value_dim: 9}",
    "latent_attention: {heads: 4, kv_rank: 14, q_rank: 11, head_dim: 10, rope_dim: 4, value_dim: 14, position: none}",
]


@pytest.mark.parametrize("node", NODES)
def test_costs(node: str) -> None:
    checked = tfdsl.check(f"""
tfdsl: 1
name: m
inputs: {{x: {{shape: [B, T, 32], dtype: float}}}}
model: [linear: {{from: x, width: 32}}, {node}]
""")
    axes = {"B": 2, "T": 61}
    cost, model = tfdsl.cost(checked, axes), tfdsl.build(checked)
    assert (cost.forward, cost.training) == measure.flops(building.meta(checked), measure.inputs(checked, axes, "meta"))
    given = measure.inputs(checked, axes)
    assert cost.activations == pytest.approx(measure.kept(model, given), rel=0.02)
    cache = model.eval().new_cache(axes["T"])
    with torch.no_grad():
        for part in given[0].split([40, 20, 1], dim=1):
            model(part, cache=cache)
    assert cost.cache == sum(each.untyped_storage().nbytes() for each in cache.entries)


@pytest.mark.parametrize("node", NODES[:7])
def test_a_state_is_as_large_after_any_number_of_positions(node: str) -> None:
    text = f"tfdsl: 1\nname: m\ninputs: {{x: {{shape: [B, T, 8], dtype: float}}}}\nmodel: [{node[:-1]}, from: x}}]"
    model = tfdsl.build(tfdsl.check(text)).eval()
    cache, sizes = model.new_cache(3), set[int]()  # there is no end to it, whatever length it was made for
    with torch.no_grad():
        for part in torch.randn(1, 24, 8).split([7, 1, 16], dim=1):
            model(part, cache=cache)
            sizes.add(sum(each.untyped_storage().nbytes() for each in cache.entries))
    assert (cache.position, len(sizes)) == (24, 1)


@pytest.mark.parametrize("few", [0, 100])
def test_latent_attention_reads_latents_or_makes_keys(few: int) -> None:
    """Both ways of decoding are equal to rounding, however many queries there are."""
    head = "tfdsl: 1\nname: m\ninputs: {x: {shape: [B, T, 8], dtype: float}}\n"
    model: Any = tfdsl.build(tfdsl.check(f"{head}model: [{NODES[7][:-1]}, from: x}}]"))
    model = model.double().eval()
    model.latent_attention.few = few
    x, cache = torch.randn(2, 13, 8, dtype=torch.float64), model.new_cache(13)
    with torch.no_grad():
        whole = model(x)
        found = torch.cat([model(part, cache=cache) for part in x.split([3, 8, 1, 1], dim=1)], dim=1)
    torch.testing.assert_close(found, whole, rtol=1e-10, atol=1e-12)


def test_padding_and_added_positions_pass_a_state_by() -> None:
    head = "tfdsl: 1\nname: m\ninputs: {t: {shape: [B, T], vocab: 40, pad: 0}}\n"
    pipe = "embed: {from: t, width: 8}, prepend: 2, mamba2: {heads: 2, head_dim: 4, state: 3}"
    model = tfdsl.build(tfdsl.check(f"{head}model: [{pipe}]")).double().eval()
    tokens, cache = foreign.tokens(40), model.new_cache(15)
    with torch.no_grad():
        found = torch.cat([model(part, cache=cache) for part in tokens.split([3, 1, 9], dim=1)], dim=1)
        torch.testing.assert_close(found, model(tokens), rtol=1e-10, atol=1e-12)
