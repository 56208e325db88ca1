"""Residuals, and the layers that papers make of them, against transformers and against their equations."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tfdsl
from tests import foreign, single
from tests.layers.test_norms import theirs


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("kind", ["scalar", "channel"])
def test_gates(kind: str, tanh: bool) -> None:
    """ReZero and LayerScale; with tanh, the gates of Flamingo and of Llama 3.2's cross-attention."""
    gate = f"gate: {{type: {kind}, tanh: {str(tanh).lower()}}}"
    ours, x = single.model(f"residual: {{body: [linear: 24], {gate}, scale: 0.7, keep: 1.3}}"), single.values()
    held = ours.state_dict()
    factor = held["residual.weight"].tanh() if tanh else held["residual.weight"]
    assert factor.numel() == (1 if kind == "scalar" else 24)
    single.near(ours(x), 1.3 * x + 0.7 * factor * (x @ held["linear.weight"].T))


@pytest.mark.parametrize(("fields", "first"), [("scalar", 0.0), ("channel", 1e-5), ("{type: channel, init: 0.1}", 0.1)])
def test_where_gates_start(fields: str, first: float) -> None:
    made = tfdsl.build(single.spec(f"residual: {{body: [linear: 24], gate: {fields}}}"))
    assert torch.equal(made.residual.weight, torch.full_like(made.residual.weight, first))


def test_deepnorm() -> None:
    """Wang et al. 2022: norm(alpha · x + f(x)), and Xavier's start is the trainer's."""
    ours, x = single.model("residual: {body: [linear: 24], keep: 2.83}", "norm: {eps: 1e-3}"), single.values()
    held = ours.state_dict()
    wanted = 2.83 * x + x @ held["linear.weight"].T
    wanted = torch.nn.functional.layer_norm(wanted, (24,), held["norm.weight"], held["norm.bias"], 1e-3)
    single.near(ours(x), wanted)


def test_drop_path_leaves_out_whole_samples() -> None:
    ours = single.model("residual: {body: [linear: 24], drop_path: 0.25}")
    x = single.values(4000, 2, 24)
    branch = x @ ours.state_dict()["linear.weight"].T
    single.near(ours(x), x + branch)
    torch.manual_seed(0)
    found = ours.train()(x) - x
    there = found.abs().amax((1, 2)) > 1e-9
    single.near(found[there], branch[there] / 0.75, 1e-11)
    assert 0.7 < there.double().mean().item() < 0.8


def test_a_rate_by_layer_makes_one_class() -> None:
    text = tfdsl.compile(
        tfdsl.check("""
tfdsl: 1
name: deep
dims: {n_layers: 4}
inputs: {x: {shape: [B, T, 24], dtype: float}}
blocks:
  layer:
    params: {rate: 0}
    body: [residual: {body: [norm, ffn: 9], drop_path: $rate}]
model:
  - norm: {from: x}
  - repeat: {block: layer, times: n_layers, vary: {rate: 0.2 * layer / (n_layers - 1)}}
""")
    )
    assert text.count("class Layer") == 1 and "DropPath(rate)" in text


def test_a_layer_of_dinov2() -> None:
    """Pre-norm with LayerScale, and a SwiGLU with biases."""
    attention = "residual: {body: [norm, attention: {heads: 4, bias: true}], gate: {type: channel, init: 1}}"
    ffn = "residual: {body: [norm, ffn: {hidden: 16, activation: swiglu, bias: true}], gate: {type: channel, init: 1}}"
    ours, x = single.model(attention, ffn, head="defaults: {norm: {eps: 1e-3}}\n"), single.values()
    sizes = {"hidden_size": 24, "num_attention_heads": 4, "mlp_ratio": 1, "use_swiglu_ffn": True}
    config = foreign.config("Dinov2Config", layer_norm_eps=1e-3, **sizes)
    config._attn_implementation = "eager"
    other = theirs("dinov2", "Dinov2Layer", config)
    held, found = ours.state_dict(), dict[str, Any]()
    for number in (1, 2):
        found[f"layer_scale{number}.lambda1"] = held[f"residual_{number}.weight"]
        for kind in ("weight", "bias"):
            found[f"norm{number}.{kind}"] = held[f"norm_{number}.{kind}"]
    for kind in ("weight", "bias"):
        parts = held[f"attention.qkv.{kind}"].chunk(3)
        for part, name in zip(parts, ("query", "key", "value"), strict=True):
            found[f"attention.attention.{name}.{kind}"] = part
        found[f"attention.output.dense.{kind}"] = held[f"attention.out.{kind}"]
        gate, up = held[f"ffn.up.{kind}"].chunk(2)
        found |= {f"mlp.gate_proj.{kind}": gate, f"mlp.up_proj.{kind}": up}
        found[f"mlp.down_proj.{kind}"] = held[f"ffn.down.{kind}"]
    single.put(other, {name: found[_own(name, found)] for name in other.state_dict()})
    with foreign.widened(), torch.no_grad():
        wanted = other(x)
    single.near(ours(x), wanted[0] if isinstance(wanted, tuple) else wanted, 1e-11)


def _own(name: str, found: dict[str, Any]) -> str:
    """Return the key of `found` that a name of theirs is, whatever they call their projections."""
    names = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "dense"}
    part, kind = name.split(".")[-2:]
    wanted = names.get(part, part)
    if "attention" in name:
        return next(key for key in found if "attention" in key and key.endswith(f".{wanted}.{kind}"))
    return name


HEAD = """
tfdsl: 1
name: peer
inputs: {tokens: {shape: [B, T], vocab: 97}}
"""
GIVEN: dict[str, foreign.Given] = {
    "embed.weight": "model.embed_tokens.weight",
    "layers.{i}.attention.qkv.weight": [f"model.layers.{{i}}.self_attn.{each}_proj.weight" for each in "qkv"],
    "layers.{i}.attention.out.weight": "model.layers.{i}.self_attn.o_proj.weight",
    "layers.{i}.norm_1.weight": "model.layers.{i}.input_layernorm.weight",
    "layers.{i}.norm_2.weight": "model.layers.{i}.post_attention_layernorm.weight",
    "norm.weight": "model.norm.weight",
    "unembed.weight": "lm_head.weight",
}
SIZES = {"vocab_size": 97, "num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 40}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}


def peer(name: str, spec: str, weights: dict[str, foreign.Given], **settings: Any) -> None:
    config = foreign.config(f"{name}Config", **{**SIZES, **HEADS, "tie_word_embeddings": False, **settings})
    other = foreign.tiny(f"{name}ForCausalLM", config)
    foreign.agree(HEAD + spec, other, {"input_ids": foreign.tokens(97)}, weights)


def test_nemotron() -> None:
    """LayerNorm with 1 + weight, relu², and half of each head turned."""
    spec = """
defaults:
  norm: {type: layer, offset: true, eps: 1e-3}
  attention: {heads: 4, kv_heads: 2, mask: causal, position: {type: rope, fraction: 0.5}}
blocks:
  layer:
    - residual: [norm, attention]
    - residual: [norm, ffn: {hidden: 40, activation: relu2}]
model:
  - embed: {from: tokens, width: 32}
  - repeat: {block: layer, times: 2}
  - norm
  - unembed: {width: 97}
"""
    biases: dict[str, foreign.Given] = {
        "layers.{i}.norm_1.bias": "model.layers.{i}.input_layernorm.bias",
        "layers.{i}.norm_2.bias": "model.layers.{i}.post_attention_layernorm.bias",
        "norm.bias": "model.norm.bias",
        "layers.{i}.ffn.up.weight": "model.layers.{i}.mlp.up_proj.weight",
        "layers.{i}.ffn.down.weight": "model.layers.{i}.mlp.down_proj.weight",
    }
    rope = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}
    peer("Nemotron", spec, {**GIVEN, **biases}, norm_eps=1e-3, rope_parameters=rope, head_dim=8)


MLP: dict[str, foreign.Given] = {
    "layers.{i}.ffn.up.weight": [f"model.layers.{{i}}.mlp.{each}_proj.weight" for each in ("gate", "up")],
    "layers.{i}.ffn.down.weight": "model.layers.{i}.mlp.down_proj.weight",
}


def test_granite() -> None:
    """Multipliers of the embedding, the scores, the branches and the logits."""
    spec = """
defaults:
  norm: {type: rms, eps: 1e-3}
  attention: {heads: 4, kv_heads: 2, mask: causal, position: rope, scale: 0.3}
  residual: {scale: 0.22}
blocks:
  layer:
    - residual: [norm, attention]
    - residual: [norm, ffn: {hidden: 40, activation: swiglu}]
model:
  - embed: {from: tokens, width: 32, scale: 12}
  - repeat: {block: layer, times: 2}
  - norm
  - unembed: {width: 97}
  - scale: 1 / 8
"""
    numbers = {"residual_multiplier": 0.22, "embedding_multiplier": 12.0, "attention_multiplier": 0.3}
    peer("Granite", spec, {**GIVEN, **MLP}, rms_norm_eps=1e-3, logits_scaling=8.0, **numbers)


def test_cohere() -> None:
    """One norm for both, side by side."""
    spec = """
defaults:
  norm: {type: layer, bias: false, eps: 1e-3}
  attention: {heads: 4, kv_heads: 2, mask: causal, position: {type: rope, style: interleaved}}
blocks:
  layer:
    - residual: [norm, sum: [[attention], [ffn: {hidden: 40, activation: swiglu}]]]
model:
  - embed: {from: tokens, id: tok, width: 32}
  - repeat: {block: layer, times: 2}
  - norm
  - unembed: {tie: tok}
  - scale: 0.3
"""
    weights = {key.replace("norm_1", "norm"): each for key, each in {**GIVEN, **MLP}.items() if "norm_2" not in key}
    weights = {key.replace("embed.weight", "tok.weight"): each for key, each in weights.items() if key[:2] != "un"}
    more = {"layer_norm_eps": 1e-3, "logit_scale": 0.3, "tie_word_embeddings": True}
    peer("Cohere", spec, weights, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, **more)


def test_apertus() -> None:
    """xIELU, and norms of queries and keys."""
    spec = """
defaults:
  norm: {type: rms, eps: 1e-3}
  attention: {heads: 4, kv_heads: 2, mask: causal, position: rope, qk_norm: {type: rms, eps: 1e-3}}
blocks:
  layer:
    - residual: [norm, attention]
    - residual: [norm, ffn: {hidden: 40, activation: xielu}]
model:
  - embed: {from: tokens, width: 32}
  - repeat: {block: layer, times: 2}
  - norm
  - unembed: {width: 97}
"""
    weights = {key: each for key, each in GIVEN.items() if ".norm_" not in key}
    for number, name in ((1, "attention_layernorm"), (2, "feedforward_layernorm")):
        weights[f"layers.{{i}}.norm_{number}.weight"] = f"model.layers.{{i}}.{name}.weight"
    for name in ("q", "k"):
        weights[f"layers.{{i}}.attention.{name}_norm.weight"] = f"model.layers.{{i}}.self_attn.{name}_norm.weight"
    for name in ("up", "down"):
        weights[f"layers.{{i}}.ffn.{name}.weight"] = f"model.layers.{{i}}.mlp.{name}_proj.weight"
    for name in ("alpha_p", "alpha_n"):
        weights[f"layers.{{i}}.ffn.xielu.{name}"] = f"model.layers.{{i}}.mlp.act_fn.{name}"
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    config = foreign.config("ApertusConfig", **{**SIZES, **HEADS, "rms_norm_eps": 1e-3, "rope_parameters": rope})
    config.tie_word_embeddings = False
    other = foreign.tiny("ApertusForCausalLM", config)
    ignore = r"inv_freq|beta|eps"
    foreign.agree(HEAD + spec, other, {"input_ids": foreign.tokens(97)}, weights, ignore=ignore, bar=1e-8)


@pytest.mark.parametrize(
    "fields", ["gate: scalar", "gate: channel", "keep: 2", "scale: 2", "gate: {type: channel, tanh: true}"]
)
def test_costs(fields: str) -> None:
    single.priced(f"residual: {{body: [norm, linear: 24], {fields}}}")
