"""Layers of one kind that differ in one model: each does what it does in a model of its own."""

from __future__ import annotations

import pytest
import torch

import tfdsl
from tests.six import spread

ATTENTION = [
    "mask: full",
    "softcap: 5",
    "sinks: learned",
    "sinks: zero",
    "talking_heads: both, mask: causal",
    "gate: sigmoid",
    "gate: {type: tanh, per: head}",
    "clip_qkv: 1, bias: true",
    "qk_norm: rms, kv_heads: 2",
    "qk_norm: {type: layer, over: all}, v_norm: rms",
    "out_norm: rms, value_dim: 16",
    "differential: 0.8",
    "position: rope, mask: causal",
    "position: t5, scale: 1",
    "position: shaw",
    "mask: {type: sliding, window: 3}, softcap: 3, sinks: learned",
]
FEED = [
    "activation: gelu",
    "activation: swiglu",
    "activation: geglu_tanh, bias: true",
    "activation: relu2, norm: rms",
    "activation: swiglu, limit: 1",
    "activation: clamped_swiglu",
]
MOE = [
    "activation: gelu",
    "activation: swiglu, renormalise: false, shared: 16, shared_gate: true",
    "activation: swiglu, scores: sigmoid, choice_bias: true, groups: 2, group_best: 2, scale: 2.5",
    "activation: clamped_swiglu, bias: true, router_bias: true",
    "activation: swiglu, scores: sigmoid, renormalise: false, weigh: input, shared: 8",
]
NORM = [
    "layer",
    "rms",
    "layer, bias: false",
    "rms, offset: true",
    "rms, weight: false",
    "layer, groups: 4",
    "l2",
    "dyt",
]
KINDS = {
    "attention": [f"attention: {{heads: 4, {each}}}" for each in ATTENTION],
    "ffn": [f"ffn: {{hidden: 48, {each}}}" for each in FEED],
    "moe": [f"moe: {{experts: 4, top_k: 2, hidden: 16, {each}}}" for each in MOE],
    "norm": [f"norm: {{type: {each}}}" for each in NORM],
}


def spec(nodes: list[str]) -> str:
    lines = "\n".join(f"  - {node}" for node in nodes)
    return f"tfdsl: 1\nname: mixed\ninputs: {{x: {{shape: [B, T, 32], dtype: float}}}}\nmodel:\n{lines}\n"


@pytest.mark.parametrize("kind", KINDS)
def test_layers_side_by_side_are_what_they_are_alone(kind: str) -> None:
    nodes = KINDS[kind]
    first = [node.replace("{", "{from: x, ", 1) for node in nodes]
    checked = tfdsl.check(spec([first[0], *nodes[1:]]))
    assert checked.ok, checked.diagnostics
    mixed = spread(tfdsl.build(checked)).double().eval()
    x = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found, wanted = mixed(x), x
    for place, node in enumerate(first, 1):
        alone = tfdsl.build(spec([node])).double().eval()
        own = {key: each for key, each in mixed.state_dict().items() if key.startswith(f"{kind}_{place}.")}
        alone.load_state_dict({key.replace(f"{kind}_{place}.", f"{kind}."): each for key, each in own.items()})
        wanted = alone(wanted)
    assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-12)
