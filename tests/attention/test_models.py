"""Each field of attention against the model of `transformers` that it was made for, with that model's weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests import foreign
from tests.attention import agree, causal, layer

SIZES = {"hidden_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
ROPE = "position: {type: rope, theta: 500}"
HEADS = f"heads: 4, kv_heads: 2, head_dim: 16, mask: causal, {ROPE}"
EVEN = {**SIZES, "head_dim": 12}  # heads that divide the width


def settings(sizes: dict[str, int] = SIZES, **more: Any) -> dict[str, Any]:
    return {**sizes, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}, **more}


def fused(module: Any, **more: Tensor) -> dict[str, Tensor]:
    """Return our weights where theirs are called `q_proj` and so on."""
    given = dict(module.named_parameters())
    found = {"qkv.weight": torch.cat([given[f"{each}_proj.weight"] for each in "qkv"])}
    if "q_proj.bias" in given:
        found["qkv.bias"] = torch.cat([given[f"{each}_proj.bias"] for each in "qkv"])
    if "o_proj.bias" in given:
        found["out.bias"] = given["o_proj.bias"]
    return {**found, "out.weight": given["o_proj.weight"], **more}


def normed(module: Any, names: str = "{}_norm") -> dict[str, Tensor]:
    """Return our weights of the norms on queries and keys."""
    return {
        f"{letter}_norm.{name}": each.reshape(-1)
        for letter, word in (("q", "query"), ("k", "key"))
        for name, each in getattr(module, names.format(word if "layer" in names else letter)).named_parameters()
    }


def test_softcap_and_scale_of_gemma_2() -> None:
    config = foreign.config("Gemma2Config", **settings(attn_logit_softcapping=0.7, query_pre_attn_scalar=3))
    theirs = layer("gemma2.modeling_gemma2", "Gemma2Attention", config, 1)
    agree(f"{HEADS}, softcap: 0.7, scale: 3 ** -0.5", theirs, fused(theirs.module))


@pytest.mark.parametrize("index", [0, 1])
def test_sinks_of_gpt_oss(index: int) -> None:
    config = foreign.config("GptOssConfig", **settings(sliding_window=4))
    rotary = ("gpt_oss.modeling_gpt_oss", "GptOssRotaryEmbedding")
    theirs = layer("gpt_oss.modeling_gpt_oss", "GptOssAttention", config, index, rotary)
    mask, window = ("{type: sliding, window: 4}", 4) if index == 0 else ("causal", None)
    fields = f"heads: 4, kv_heads: 2, head_dim: 16, mask: {mask}, {ROPE}, sinks: learned, bias: true"
    agree(fields, theirs, fused(theirs.module, sink=theirs.module.sinks), causal(window=window))


NORMS = {
    "gemma3": ("Gemma3TextConfig", "Gemma3Attention", "{type: rms, eps: 0.01, offset: true}", SIZES),
    "qwen3": ("Qwen3Config", "Qwen3Attention", "{type: rms, eps: 0.01}", SIZES),
    "olmo2": ("Olmo2Config", "Olmo2Attention", "{type: rms, eps: 0.01, over: all}", EVEN),
    "olmoe": (
        "OlmoeConfig",
        "OlmoeAttention",
        "{type: rms, eps: 0.01, over: all}, clip_qkv: {limit: 0.6, late: true}",
        EVEN,
    ),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_on_queries_and_keys_of(name: str) -> None:
    config_name, attention, norm, sizes = NORMS[name]
    more: dict[str, Any] = {"layer_types": ["full_attention"] * 2, "num_hidden_layers": 2, "rms_norm_eps": 0.01}
    more |= {"query_pre_attn_scalar": 16} if name == "gemma3" else {"clip_qkv": 0.6} if name == "olmoe" else {}
    given = {**sizes, **more, "rope_parameters": None} if name == "gemma3" else settings(sizes, **more)
    theirs = layer(f"{name}.modeling_{name}", attention, foreign.config(config_name, **given))
    heads = HEADS.replace("head_dim: 16", f"head_dim: {sizes['head_dim']}")
    agree(f"{heads}, qk_norm: {norm}", theirs, fused(theirs.module, **normed(theirs.module)))


def test_a_norm_for_each_head_of_cohere() -> None:
    config = foreign.config("CohereConfig", **settings(EVEN, layer_norm_eps=0.01, use_qk_norm=True))
    rotary = ("cohere.modeling_cohere", "CohereRotaryEmbedding")
    theirs = layer("cohere.modeling_cohere", "CohereAttention", config, rotary=rotary)
    heads = HEADS.replace("head_dim: 16", "head_dim: 12").replace("theta: 500", "theta: 500, style: interleaved")
    weights = fused(theirs.module, **normed(theirs.module))
    agree(f"{heads}, qk_norm: {{type: layer, eps: 0.01, over: each, bias: false}}", theirs, weights)


def test_a_norm_for_each_head_of_stablelm() -> None:
    rope = {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5}
    sizes = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = foreign.config("StableLmConfig", **sizes, layer_norm_eps=0.01, qk_layernorm=True, rope_parameters=rope)
    rotary = ("stablelm.modeling_stablelm", "StableLmRotaryEmbedding")
    theirs = layer("stablelm.modeling_stablelm", "StableLmAttention", config, rotary=rotary)
    norms = {
        f"{each}_norm.weight": torch.cat([norm.weight for norm in getattr(theirs.module, f"{each}_layernorm").norms])
        for each in "qk"
    }
    fields = "heads: 4, kv_heads: 2, mask: causal, position: {type: rope, theta: 500, fraction: 0.5}"
    norm = "{type: layer, eps: 0.01, over: each, bias: false}"
    agree(f"{fields}, qk_norm: {norm}", theirs, fused(theirs.module, **norms), width=64)


def test_a_shifted_norm_over_a_head_of_persimmon() -> None:
    rope = {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5}
    config = foreign.config(
        "PersimmonConfig", hidden_size=64, num_attention_heads=4, layer_norm_eps=0.01, rope_parameters=rope
    )
    rotary = ("persimmon.modeling_persimmon", "PersimmonRotaryEmbedding")
    theirs = layer("persimmon.modeling_persimmon", "PersimmonAttention", config, rotary=rotary)
    module = theirs.module
    weight, bias = module.query_key_value.weight, module.query_key_value.bias
    given = {
        "qkv.weight": weight.view(4, 3, 16, 64).transpose(0, 1).reshape(-1, 64),
        "qkv.bias": bias.view(4, 3, 16).transpose(0, 1).reshape(-1),
        "out.weight": module.dense.weight,
        "out.bias": module.dense.bias,
    }
    norms = {
        f"{letter}_norm.{name}": each
        for letter in "qk"
        for name, each in getattr(module, f"{letter}_layernorm").named_parameters()
    }
    fields = "heads: 4, mask: causal, bias: true, position: {type: rope, theta: 500, fraction: 0.5}"
    agree(f"{fields}, qk_norm: {{type: layer, eps: 0.01}}", theirs, {**given, **norms}, width=64)


def test_norm_after_rotation_of_hunyuan() -> None:
    config = foreign.config("HunYuanDenseV1Config", **settings(rms_norm_eps=0.01))
    theirs = layer("hunyuan_v1_dense.modeling_hunyuan_v1_dense", "HunYuanDenseV1Attention", config)
    weights = fused(theirs.module, **normed(theirs.module, "{}_layernorm"))
    agree(f"{HEADS}, qk_norm: {{type: rms, eps: 0.01, place: after}}", theirs, weights)


def test_weightless_norm_after_rotation_of_nanochat() -> None:
    config = foreign.config("NanoChatConfig", **settings(rms_norm_eps=0.01))
    theirs = layer("nanochat.modeling_nanochat", "NanoChatAttention", config)
    fields = f"{HEADS}, qk_norm: {{type: rms, eps: 0.01, weight: false, place: after}}"
    weights = fused(theirs.module)
    # Theirs turns the other way, which is ours with the halves of a head in the other order.
    q, k, v = weights["qkv.weight"].split((64, 32, 32))
    q, k = (each.view(-1, 2, 8, 48).flip(1).reshape(-1, 48) for each in (q, k))
    agree(fields, theirs, {**weights, "qkv.weight": torch.cat((q, k, v))})


@pytest.mark.parametrize("rotates", [True, False])
def test_rotation_norm_and_temperature_of_llama_4(rotates: bool) -> None:
    more = {"rms_norm_eps": 0.01, "no_rope_layers": [int(rotates)] * 48, "floor_scale": 3, "attn_scale": 0.2}
    config = foreign.config("Llama4TextConfig", **settings(**more))
    rotary = ("llama4.modeling_llama4", "Llama4TextRotaryEmbedding")
    theirs = layer("llama4.modeling_llama4", "Llama4TextAttention", config, rotary=rotary)
    rope = "{type: rope, theta: 500, style: interleaved}"
    warm = "temperature: {length: 3, by: 0.2}"
    norm = "{type: rms, eps: 0.01, weight: false, place: after}"
    how = f"position: {rope}, qk_norm: {norm}" if rotates else warm
    agree(f"heads: 4, kv_heads: 2, head_dim: 16, mask: causal, {how}", theirs, fused(theirs.module))


@pytest.mark.parametrize("name", ["mpt", "dbrx", "olmo"])
def test_clips_of(name: str) -> None:
    if name == "olmo":
        config = foreign.config("OlmoConfig", **settings(EVEN, clip_qkv=0.5))
        theirs = layer("olmo.modeling_olmo", "OlmoAttention", config)
        weights = fused(theirs.module)
    elif name == "dbrx":
        heads = {"clip_qkv": 0.5, "kv_n_heads": 2, "rope_theta": 500.0}
        config = foreign.config("DbrxConfig", d_model=48, n_heads=4, attn_config=heads)
        theirs = layer("dbrx.modeling_dbrx", "DbrxAttention", config)
        weights = {"qkv.weight": theirs.module.Wqkv.weight, "out.weight": theirs.module.out_proj.weight}
    else:
        config = foreign.config("MptConfig", d_model=48, n_heads=4, attn_config={"clip_qkv": 0.5})
        theirs = layer("mpt.modeling_mpt", "MptAttention", config, rotary=None, truths=True)
        weights = {"qkv.weight": theirs.module.Wqkv.weight, "out.weight": theirs.module.out_proj.weight}
    heads = "heads: 4, mask: causal" if name == "mpt" else HEADS.replace("head_dim: 16", "head_dim: 12")
    agree(f"{heads}, clip_qkv: 0.5", theirs, weights)


def test_pairs_of_diffllama() -> None:
    config = foreign.config("DiffLlamaConfig", **settings(rms_norm_eps=0.01))
    theirs = layer("diffllama.modeling_diffllama", "DiffLlamaAttention", config, 3)
    names = {f"{letter}_{half}": f"lambda_{letter}{half}" for letter in "qk" for half in (1, 2)}
    weights = {f"differential.{ours}": getattr(theirs.module, name) for ours, name in names.items()}
    start = "{init: 0.8 - 0.6 * 2.718281828459045 ** (-0.3 * 3), eps: 0.01}"
    agree(f"{HEADS}, differential: {start}", theirs, fused(theirs.module, **weights))


def test_gate_of_qwen_3_next() -> None:
    config = foreign.config("Qwen3NextConfig", **settings(rms_norm_eps=0.01))
    theirs = layer("qwen3_next.modeling_qwen3_next", "Qwen3NextAttention", config)
    module = theirs.module
    q, gate = module.q_proj.weight.view(4, 2, 16, 48).transpose(0, 1).reshape(2, 64, 48)
    weights = {
        "qkv.weight": torch.cat((q, module.k_proj.weight, module.v_proj.weight)),
        "gate.weight": gate,
        "out.weight": module.o_proj.weight,
        **normed(module),
    }
    agree(f"{HEADS}, qk_norm: {{type: rms, eps: 0.01, offset: true}}, gate: sigmoid", theirs, weights)


@pytest.mark.parametrize("per", ["head", "channel"])
def test_gates_of_laguna(per: str) -> None:
    more = {"rms_norm_eps": 0.01, "gating": f"per-{'head' if per == 'head' else 'element'}"}
    config = foreign.config("LagunaConfig", **{**SIZES, **more})
    theirs = layer("laguna.modeling_laguna", "LagunaAttention", config, more=(4,))
    weights = fused(theirs.module, **{"gate.weight": theirs.module.g_proj.weight}, **normed(theirs.module))
    fields = f"qk_norm: {{type: rms, eps: 0.01}}, gate: {{type: softplus, per: {per}}}"
    agree(f"{HEADS}, {fields}", theirs, weights)


def test_norm_behind_the_heads_of_bitnet() -> None:
    config = foreign.config("BitNetConfig", **settings(EVEN, rms_norm_eps=0.01))
    theirs = layer("bitnet.modeling_bitnet", "BitNetAttention", config)
    weights = fused(theirs.module, **{"out_norm.weight": theirs.module.attn_sub_norm.weight})
    heads = HEADS.replace("head_dim: 16", "head_dim: 12")
    agree(f"{heads}, out_norm: {{type: rms, eps: 0.01}}", theirs, weights)


def test_size_of_values_and_sinks_of_mimo() -> None:
    config = foreign.config("MiMoV2FlashConfig", **settings(v_head_dim=8, sliding_window=4, attention_value_scale=None))
    config.layer_types = ["sliding_attention"]
    theirs = layer("mimo_v2_flash.modeling_mimo_v2_flash", "MiMoV2FlashAttention", config)
    fields = f"heads: 4, head_dim: 16, value_dim: 8, mask: {{type: sliding, window: 4}}, {ROPE}, sinks: learned"
    agree(fields, theirs, fused(theirs.module, sink=theirs.module.sinks), causal(window=4))
