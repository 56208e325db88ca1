"""Rotary positions in whole models: those of transformers in float64, and decoding with a cache in any chunks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tfdsl
from tests import foreign
from tests.sampling.writing import write

SIZES = {
    "vocab_size": 61,
    "hidden_size": 48,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SPEC = """
tfdsl: 1
name: tiny
inputs: {{tokens: {{shape: [B, T], vocab: 61}}}}
outputs: {{logits: [B, T, 61]}}
defaults:
  norm: {norm}
  attention: {{heads: 3, mask: causal, bias: {bias}, position: {position}}}
  ffn: {{hidden: 40, activation: {activation}, bias: {bias}}}
blocks:
  layer:
    params: {{position: none}}
    body: [{body}]
model:
  - embed: {{id: tok, from: tokens, width: 48}}
  - repeat: {{block: layer, times: {times}{vary}}}
  - norm
  - unembed: {{id: logits, {head}}}
"""
SERIAL = "residual: [norm, attention], residual: [norm, ffn]"
LLAMA = {"norm": "{type: rms, eps: 1e-6}", "bias": "false", "activation": "swiglu", "body": SERIAL}
OURS = "layers.{i}.attention"
LLAMA_WEIGHTS: dict[str, foreign.Given] = {
    "tok.weight": "model.embed_tokens.weight",
    "layers.{i}.norm_1.weight": "model.layers.{i}.input_layernorm.weight",
    f"{OURS}.qkv.weight": [f"model.layers.{{i}}.self_attn.{each}_proj.weight" for each in "qkv"],
    f"{OURS}.out.weight": "model.layers.{i}.self_attn.o_proj.weight",
    "layers.{i}.norm_2.weight": "model.layers.{i}.post_attention_layernorm.weight",
    "layers.{i}.ffn.up.weight": [f"model.layers.{{i}}.mlp.{each}_proj.weight" for each in ("gate", "up")],
    "layers.{i}.ffn.down.weight": "model.layers.{i}.mlp.down_proj.weight",
    "norm.weight": "model.norm.weight",
    "logits.weight": "lm_head.weight",
}
BAR = 1e-10
SHORT, LONG = [1 + 0.1 * i for i in range(8)], [1.5 + 0.7 * i for i in range(8)]


def spec(position: str, **parts: Any) -> str:
    """Return a model of two layers."""
    return SPEC.format(**{"vary": "", "times": 2, "head": "width: 61", "position": position, **LLAMA, **parts})


def in_chunks(model: nn.Module, ids: Tensor, *lengths: int) -> Tensor:
    """Return what a model gives for ids that come in chunks, with a cache."""
    cache, parts = model.new_cache(ids.size(1)), []
    with torch.no_grad():
        for part in ids.split(list(lengths), dim=1):
            parts.append(model(part, cache=cache))
    return torch.cat(parts, dim=1)


def apart(model: nn.Module, ids: Tensor) -> float:
    """Return how far, at most, a cache moves what a model gives, however the ids are cut; NaN where something is."""
    with torch.no_grad():
        whole, length = model(ids), ids.size(1)
    ways = [length], [1] * length, [5, length - 8, 3], [length - 1, 1]
    return float(torch.stack([(in_chunks(model, ids, *way) - whole).abs().max() for way in ways]).max())


SCALINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("{type: linear, factor: 4}", {"factor": 4.0}),
    "dynamic": ("{type: dynamic, factor: 2, length: 32}", {"factor": 2.0}),
    "yarn": (
        "{type: yarn, factor: 4, length: 16}",
        {"factor": 4.0, "original_max_position_embeddings": 16},
    ),
    "llama3": (
        "{type: llama3, factor: 8, length: 16}",
        {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16},
    ),
    "longrope": (
        f"{{type: longrope, short: {SHORT}, long: {LONG}, length: 32, factor: 4}}",
        {
            "short_factor": SHORT,
            "long_factor": LONG,
            "factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    ),
}


@pytest.mark.parametrize("length", [13, 40])
@pytest.mark.parametrize("kind", SCALINGS)
def test_scaled_llama(kind: str, length: int) -> None:
    scaling, settings = SCALINGS[kind]
    rope = {"rope_type": kind, "rope_theta": 500.0, **settings}
    config = foreign.config("LlamaConfig", **SIZES, head_dim=16, rope_parameters=rope)
    ids = foreign.tokens(61, length=length)
    text = spec(f"{{type: rope, theta: 500, scaling: {scaling}}}")
    model = foreign.agree(text, foreign.tiny("LlamaForCausalLM", config), {"input_ids": ids}, LLAMA_WEIGHTS)
    if length == 13 or kind not in ("dynamic", "longrope"):
        assert apart(model, ids) <= BAR


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_a_cache_is_refused_where_the_angles_of_what_it_holds_change(kind: str) -> None:
    model = tfdsl.build(tfdsl.check(spec(f"{{type: rope, theta: 500, scaling: {SCALINGS[kind][0]}}}"))).double()
    ids = foreign.tokens(61, length=40)
    with pytest.raises(ValueError, match="the angles of all positions" if kind == "longrope" else "beyond 32"):
        in_chunks(model, ids, 20, 20)
    if kind == "longrope":  # what began longer stays so
        torch.testing.assert_close(in_chunks(model, ids, 36, 1, 3), model(ids), rtol=1e-10, atol=1e-11)
    found, wanted = list(write(model, ids[0, :29].tolist(), length=6, greedy=True)), ids[0, :29].tolist()
    for _ in range(6):
        with torch.no_grad():
            wanted.append(int(model(torch.tensor([wanted]))[0, -1].argmax()))
    assert found == wanted[29:]


def test_gpt_neox() -> None:
    settings = {"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.25}
    config = foreign.config("GPTNeoXConfig", **SIZES, rope_parameters=settings, hidden_act="gelu")
    ids = foreign.tokens(61)
    text = spec(
        "{type: rope, theta: 300, fraction: 0.25}",
        norm="{type: layer, eps: 1e-5}",
        bias="true",
        activation="gelu",
        body="residual: {body: [sum: [[norm, attention], [norm, ffn]]]}",
    )
    theirs = "gpt_neox.layers.{i}"

    def fused(w: foreign.Weights, i: int, kind: str) -> Tensor:
        rows = w[f"gpt_neox.layers.{i}.attention.query_key_value.{kind}"]
        return rows.view(3, 3, 16, -1).transpose(0, 1).reshape(rows.shape)

    weights: dict[str, foreign.Given] = {"tok.weight": "gpt_neox.embed_in.weight", "logits.weight": "lm_head.weight"}
    for kind in ("weight", "bias"):
        weights[f"norm.{kind}"] = f"gpt_neox.final_layer_norm.{kind}"
        weights[f"layers.{{i}}.norm_1.{kind}"] = f"{theirs}.input_layernorm.{kind}"
        weights[f"layers.{{i}}.norm_2.{kind}"] = f"{theirs}.post_attention_layernorm.{kind}"
        weights[f"{OURS}.qkv.{kind}"] = lambda w, i, kind=kind: fused(w, i, kind)
        weights[f"{OURS}.out.{kind}"] = f"{theirs}.attention.dense.{kind}"
        weights[f"layers.{{i}}.ffn.up.{kind}"] = f"{theirs}.mlp.dense_h_to_4h.{kind}"
        weights[f"layers.{{i}}.ffn.down.{kind}"] = f"{theirs}.mlp.dense_4h_to_h.{kind}"
    model = foreign.agree(text, foreign.tiny("GPTNeoXForCausalLM", config), {"input_ids": ids}, weights)
    assert apart(model, ids) <= BAR


def test_gptj() -> None:
    sizes = {"vocab_size": 61, "n_embd": 48, "n_inner": 40, "n_layer": 2, "n_head": 3, "n_positions": 32}
    config = foreign.config("GPTJConfig", **sizes, rotary_dim=4, tie_word_embeddings=False)
    text = spec(
        "{type: rope, dim: 4, style: interleaved}",
        norm="{type: layer, eps: 1e-5}",
        bias="false",
        activation="gelu_tanh",
        body="residual: [norm, sum: [[attention], [ffn: {bias: true}]]]",
        head="width: 61, bias: true",
    )
    theirs, ids = "transformer.h.{i}", foreign.tokens(61)
    weights: dict[str, foreign.Given] = {
        "tok.weight": "transformer.wte.weight",
        f"{OURS}.qkv.weight": [f"{theirs}.attn.{each}_proj.weight" for each in "qkv"],
        f"{OURS}.out.weight": f"{theirs}.attn.out_proj.weight",
    }
    for kind in ("weight", "bias"):
        weights[f"norm.{kind}"] = f"transformer.ln_f.{kind}"
        weights[f"logits.{kind}"] = f"lm_head.{kind}"
        weights[f"layers.{{i}}.norm.{kind}"] = f"{theirs}.ln_1.{kind}"
        weights[f"layers.{{i}}.ffn.up.{kind}"] = f"{theirs}.mlp.fc_in.{kind}"
        weights[f"layers.{{i}}.ffn.down.{kind}"] = f"{theirs}.mlp.fc_out.{kind}"
    model = foreign.agree(text, foreign.tiny("GPTJForCausalLM", config), {"input_ids": ids}, weights)
    assert apart(model, ids) <= BAR


def test_smollm3_has_layers_without_positions() -> None:
    sizes = {**SIZES, "num_hidden_layers": 4, "num_key_value_heads": 3}
    settings = {"rope_type": "default", "rope_theta": 300.0}
    config = foreign.config(
        "SmolLM3Config", **sizes, rope_parameters=settings, no_rope_layers=[1, 0, 1, 0], tie_word_embeddings=False
    )
    ids = foreign.tokens(61)
    text = spec(
        "none",
        times=4,
        vary=", vary: {position: {cycle: [{type: rope, theta: 300}, none]}}",
        body="residual: [norm, attention: {position: $position}], residual: [norm, ffn]",
    )
    model = foreign.agree(text, foreign.tiny("SmolLM3ForCausalLM", config), {"input_ids": ids}, LLAMA_WEIGHTS)
    assert apart(model, ids) <= BAR


def test_gemma3_has_two_sorts() -> None:
    """Local layers turn by theta 10, global ones by theta 300 with linear scaling; both in one model."""
    ropes = {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10.0},
        "full_attention": {"rope_type": "linear", "factor": 3.0, "rope_theta": 300.0},
    }
    config = foreign.config(
        "Gemma3TextConfig",
        **SIZES,
        num_key_value_heads=1,
        head_dim=16,
        layer_types=["sliding_attention", "full_attention"],
        sliding_window=4,
        query_pre_attn_scalar=16,
        rope_parameters=ropes,
        tie_word_embeddings=True,
    )
    ids = foreign.tokens(61)
    text = f"""
tfdsl: 1
name: gemma3
inputs: {{tokens: {{shape: [B, T], vocab: 61}}}}
outputs: {{logits: [B, T, 61]}}
defaults:
  norm: {{type: rms, eps: 1e-6}}
  attention: {{heads: 3, kv_heads: 1, head_dim: 16, qk_norm: rms}}
  ffn: {{hidden: 40, activation: geglu_tanh}}
blocks:
  local: [attention: {{mask: {{type: sliding, window: 4}}, position: {{type: rope, theta: 10}}}}]
  global: [attention: {{mask: causal, position: {{type: rope, theta: 300, scaling: {{type: linear, factor: 3}}}}}}]
  layer:
    params: {{mix: local}}
    body: [residual: [norm, use: $mix, norm], residual: [norm, ffn, norm]]
model:
  - embed: {{id: tok, from: tokens, width: 48, scale: {48**0.5!r}}}
  - repeat: {{block: layer, times: 2, vary: {{mix: {{cycle: [local, global]}}}}}}
  - norm
  - unembed: {{id: logits, tie: tok}}
"""
    theirs = "model.layers.{i}"

    def scales(name: str) -> Any:
        return lambda w, i: 1 + w[f"model.layers.{i}.{name}.weight"]

    names = ("input", "post_attention", "pre_feedforward", "post_feedforward")
    weights: dict[str, foreign.Given] = {
        "tok.weight": "model.embed_tokens.weight",
        **{f"layers.{{i}}.norm_{n}.weight": scales(f"{name}_layernorm") for n, name in enumerate(names, 1)},
        "layers.{i}.ffn.up.weight": [f"{theirs}.mlp.{each}_proj.weight" for each in ("gate", "up")],
        "layers.{i}.ffn.down.weight": f"{theirs}.mlp.down_proj.weight",
        "norm.weight": lambda w: 1 + w["model.norm.weight"],
    }
    attention = "layers.{i}.mix.attention"
    weights[f"{attention}.qkv.weight"] = [f"{theirs}.self_attn.{each}_proj.weight" for each in "qkv"]
    weights[f"{attention}.out.weight"] = f"{theirs}.self_attn.o_proj.weight"
    for each in "qk":
        weights[f"{attention}.{each}_norm.weight"] = scales(f"self_attn.{each}_norm")
    model = foreign.agree(
        text,
        foreign.tiny("Gemma3ForCausalLM", config),
        {"input_ids": ids},
        weights,
        ignore="inv_freq|lm_head|embed_scale",
    )
    assert apart(model, ids) <= BAR


@pytest.mark.parametrize("reverse", [False, True])
def test_the_end_of_a_head_turns_and_angles_turn_round(reverse: bool) -> None:
    """Turning the first features of heads whose features are rolled is turning the last."""
    more = ", reverse: true" if reverse else ""
    one, two = (
        tfdsl.build(tfdsl.check(spec(f"{{type: rope, dim: 6, theta: 30{end}{more}}}"))) for end in ("", ", end: true")
    )
    two.load_state_dict(one.state_dict())
    for layer in two.layers:
        rows = layer.attention.qkv.weight.data.view(9, 16, 48)
        rows[:6] = rows[:6].roll(-6, dims=1)
    ids = foreign.tokens(61)
    torch.testing.assert_close(one.double()(ids), two.double()(ids), rtol=1e-10, atol=1e-11)
    assert apart(two, ids) <= BAR
