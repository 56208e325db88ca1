"""The comparison with other libraries' models, itself compared: it widens what they narrow, and it notices mistakes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests import foreign

LLAMA = """
tfdsl: 1
name: llama
dims: {vocab_size: 97, n_layers: 3, d_model: 48}
inputs: {tokens: {shape: [B, T], vocab: vocab_size}}
outputs: {logits: [B, T, vocab_size]}
defaults:
  norm: {type: rms, eps: 2e-3}
  attention: {heads: 4, kv_heads: 2, head_dim: 16, mask: causal, position: {type: rope, theta: 773}}
blocks:
  layer:
    - residual: [norm, attention]
    - residual: [norm, ffn: {hidden: 80, activation: swiglu}]
model:
  - embed: {from: tokens, width: d_model}
  - repeat: {block: layer, times: n_layers}
  - norm
  - unembed: {id: logits, width: vocab_size}
"""
WEIGHTS: dict[str, foreign.Given] = {
    "embed.weight": "model.embed_tokens.weight",
    "layers.{i}.norm_1.weight": "model.layers.{i}.input_layernorm.weight",
    "layers.{i}.attention.qkv.weight": [f"model.layers.{{i}}.self_attn.{each}_proj.weight" for each in "qkv"],
    "layers.{i}.attention.out.weight": lambda w, i: w[f"model.layers.{i}.self_attn.o_proj.weight"],
    "layers.{i}.norm_2.weight": "model.layers.{i}.post_attention_layernorm.weight",
    "layers.{i}.ffn.up.weight": [f"model.layers.{{i}}.mlp.{each}_proj.weight" for each in ("gate", "up")],
    "layers.{i}.ffn.down.weight": "model.layers.{i}.mlp.down_proj.weight",
    "norm.weight": "model.norm.weight",
    "logits.weight": "lm_head.weight",
}


def llama(**settings: Any) -> Any:
    sizes = {"vocab_size": 97, "num_hidden_layers": 3, "hidden_size": 48, "intermediate_size": 80}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    rope = {"rms_norm_eps": 2e-3, "rope_parameters": {"rope_type": "default", "rope_theta": 773.0}}
    return foreign.tiny("LlamaForCausalLM", foreign.config("LlamaConfig", **{**sizes, **heads, **rope, **settings}))


def test_a_spec_agrees() -> None:
    inputs = {"input_ids": foreign.tokens(97)}
    foreign.agree(LLAMA, llama(), inputs, WEIGHTS, bar=1e-12)


def test_float32_steps_are_widened() -> None:
    """Without it the two are some 1e-7 apart: a test of the test."""
    with foreign.widened():
        assert torch.ones(3).float().dtype is torch.arange(3).to(torch.float32).dtype is torch.float64
        assert torch.nn.functional.softmax(torch.ones(3), dim=0, dtype=torch.float32).dtype is torch.float64
        assert torch.tensor(1, dtype=torch.float32).dtype is torch.float64
    assert torch.ones(3).dtype is torch.float32


@pytest.mark.parametrize("change", ["eps", "twice", "missing", "unused"])
def test_mistakes_show(change: str) -> None:
    theirs = llama(rms_norm_eps=3e-3) if change == "eps" else llama()
    weights = dict(WEIGHTS)
    if change == "twice":
        weights["layers.0.norm_1.weight"] = "model.norm.weight"
    if change == "missing":
        del weights["norm.weight"]
    if change == "unused":
        weights["norm.weight"] = "model.layers.0.input_layernorm.weight"
    with pytest.raises(AssertionError):
        foreign.agree(LLAMA, theirs, {"input_ids": foreign.tokens(97)}, weights)
