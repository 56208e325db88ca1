"""The published models that write text from left to right, as Llama does, and the names that Llama's weights have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tests.foreign import Given
from tests.published import Published, rows

OURS, THEIRS = "layers.{i}.", "model.layers.{i}."
LLAMA_KEYS = {
    "vocab_size": "vocab_size",
    "n_layers": "num_hidden_layers",
    "d_model": "hidden_size",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "d_ff": "intermediate_size",
}
ROPE = {"rope_type": "default"}


def same(pairs: Mapping[str, str], bias: bool = False) -> dict[str, Given]:
    """Return the weights of layers that both have alike, and their biases."""
    kinds = ("weight", "bias") if bias else ("weight",)
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in pairs.items() for kind in kinds}


def joined(ours: str, theirs: str, names: str, bias: bool = False) -> dict[str, Given]:
    """Return a matrix of ours that is several of theirs, and its bias."""
    kinds = ("weight", "bias") if bias else ("weight",)
    return {f"{ours}.{kind}": rows(theirs, names, kind) for kind in kinds}


ENDS = same({"embed": "model.embed_tokens", "norm": "model.norm", "logits": "lm_head"})
NORMS = {f"{OURS}norm_1": f"{THEIRS}input_layernorm", f"{OURS}norm_2": f"{THEIRS}post_attention_layernorm"}
ATTENTION: dict[str, Given] = {
    **joined(f"{OURS}attention.qkv", f"{THEIRS}self_attn.", "q_proj k_proj v_proj"),
    **same({f"{OURS}attention.out": f"{THEIRS}self_attn.o_proj"}),
}
GATED: dict[str, Given] = {
    **joined(f"{OURS}ffn.up", f"{THEIRS}mlp.", "gate_proj up_proj"),
    **same({f"{OURS}ffn.down": f"{THEIRS}mlp.down_proj"}),
}
LLAMA: dict[str, Given] = {**ENDS, **same(NORMS), **ATTENTION, **GATED}
HEAD_NORMS = same({f"{OURS}attention.{each}": f"{THEIRS}self_attn.{each}" for each in ("q_norm", "k_norm")})
MOE: dict[str, Given] = {
    f"{OURS}moe.router.weight": f"{THEIRS}mlp.gate.weight",
    f"{OURS}moe.up": f"{THEIRS}mlp.experts.gate_up_proj",
    f"{OURS}moe.down": f"{THEIRS}mlp.experts.down_proj",
}


def llama(
    model: str = "LlamaForCausalLM",
    weights: Mapping[str, Given] = LLAMA,
    theta: float = 1e4,
    small: Mapping[str, Any] | None = None,
    **config: Any,
) -> Published:
    """Return a model whose config has Llama's names; what is not given is as in Llama 2 7B."""
    usual: dict[str, Any] = {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "rope_parameters": {**ROPE, "rope_theta": theta},
    }
    keys = {
        **LLAMA_KEYS,
        **{dim: key for dim, key in (("head_dim", "head_dim"), ("window", "sliding_window")) if config.get(key)},
    }
    return Published(model, {**usual, **config}, keys, weights, small or {})


GEMMA_NORMS = {
    f"{OURS}norm_1": f"{THEIRS}input_layernorm",
    f"{OURS}norm_2": f"{THEIRS}post_attention_layernorm",
    f"{OURS}norm_3": f"{THEIRS}pre_feedforward_layernorm",
    f"{OURS}norm_4": f"{THEIRS}post_feedforward_layernorm",
}
MIXED = {name.replace("attention.", "mix.attention."): each for name, each in {**ATTENTION, **HEAD_NORMS}.items()}
GEMMA: dict[str, Given] = {
    **same({"tok": "model.embed_tokens", "norm": "model.norm", **GEMMA_NORMS}),
    **{name: each for name, each in MIXED.items() if "_norm" not in name},
    **GATED,
}
OSS: dict[str, Given] = {
    **ENDS,
    **same(NORMS),
    **joined(f"{OURS}mix.attention.qkv", f"{THEIRS}self_attn.", "q_proj k_proj v_proj", bias=True),
    **same(
        {f"{OURS}mix.attention.out": f"{THEIRS}self_attn.o_proj", f"{OURS}moe.router": f"{THEIRS}mlp.router"}, bias=True
    ),
    f"{OURS}mix.attention.sink": f"{THEIRS}self_attn.sinks",
    f"{OURS}moe.up": lambda weights, i: _halves(weights[f"model.layers.{i}.mlp.experts.gate_up_proj"]).transpose(1, 2),
    f"{OURS}moe.up_bias": lambda weights, i: _halves(weights[f"model.layers.{i}.mlp.experts.gate_up_proj_bias"]),
    f"{OURS}moe.down": lambda weights, i: weights[f"model.layers.{i}.mlp.experts.down_proj"].transpose(1, 2),
    f"{OURS}moe.down_bias": f"{THEIRS}mlp.experts.down_proj_bias",
}


def _halves(both: Tensor) -> Tensor:
    """Return gates before the others, where gate and other stand in turn."""
    return torch.cat([both[..., ::2], both[..., 1::2]], dim=-1)


MODELS: dict[str, Published] = {
    "gemma2_9b": llama(
        "Gemma2ForCausalLM",
        GEMMA,
        small={"layer_types": ["sliding_attention", "full_attention"]},
        vocab_size=256000,
        hidden_size=3584,
        num_hidden_layers=42,
        num_attention_heads=16,
        head_dim=256,
        intermediate_size=14336,
        sliding_window=4096,
        query_pre_attn_scalar=256,
        attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
    ),
    "gemma3_1b": replace(
        llama(
            "Gemma3ForCausalLM",
            {**GEMMA, **MIXED},
            vocab_size=262144,
            hidden_size=1152,
            num_hidden_layers=26,
            num_attention_heads=4,
            num_key_value_heads=1,
            head_dim=256,
            intermediate_size=6912,
            sliding_window=512,
            query_pre_attn_scalar=256,
            rms_norm_eps=1e-6,
            tie_word_embeddings=True,
            rope_parameters={
                "sliding_attention": {**ROPE, "rope_theta": 1e4},
                "full_attention": {**ROPE, "rope_theta": 1e6},
            },
        ),
        ours={"n_layers": 8},
        configured="Gemma3TextConfig",
    ),
    "gpt_oss_20b": Published(
        "GptOssForCausalLM",
        {
            "vocab_size": 201088,
            "hidden_size": 2880,
            "num_hidden_layers": 24,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "intermediate_size": 2880,
            "num_local_experts": 32,
            "num_experts_per_tok": 4,
            "sliding_window": 128,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": False,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 150000.0,
                "factor": 32.0,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "truncate": False,
                "original_max_position_embeddings": 4096,
            },
        },
        {
            **{dim: key for dim, key in LLAMA_KEYS.items() if dim != "d_ff"},
            "head_dim": "head_dim",
            "window": "sliding_window",
            "n_experts": "num_local_experts",
            "d_expert": "intermediate_size",
        },
        OSS,
    ),
    "llama2_7b": llama(num_key_value_heads=32, intermediate_size=11008),
    "llama3_8b": llama(vocab_size=128256, theta=5e5),
    "mistral_7b": llama("MistralForCausalLM", sliding_window=4096),
    "mixtral_8x7b": llama(
        "MixtralForCausalLM",
        {**ENDS, **same(NORMS), **ATTENTION, **MOE},
        theta=1e6,
        num_local_experts=8,
        num_experts_per_tok=2,
        sliding_window=None,
    ),
    "qwen2_5_7b": llama(
        "Qwen2ForCausalLM",
        {**LLAMA, **joined(f"{OURS}attention.qkv", f"{THEIRS}self_attn.", "q_proj k_proj v_proj", bias=True)},
        theta=1e6,
        vocab_size=152064,
        hidden_size=3584,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        intermediate_size=18944,
        rms_norm_eps=1e-6,
    ),
    "qwen3_8b": llama(
        "Qwen3ForCausalLM",
        {**LLAMA, **HEAD_NORMS},
        theta=1e6,
        vocab_size=151936,
        num_hidden_layers=36,
        intermediate_size=12288,
        rms_norm_eps=1e-6,
        head_dim=128,
    ),
    "qwen3_30b_a3b": llama(
        "Qwen3MoeForCausalLM",
        {**ENDS, **same(NORMS), **ATTENTION, **HEAD_NORMS, **MOE},
        theta=1e6,
        vocab_size=151936,
        hidden_size=2048,
        num_hidden_layers=48,
        num_key_value_heads=4,
        head_dim=128,
        intermediate_size=6144,
        moe_intermediate_size=768,
        num_experts=128,
        num_experts_per_tok=8,
        norm_topk_prob=True,
        rms_norm_eps=1e-6,
    ),
    "phi3_mini": llama(
        "Phi3ForCausalLM",
        {
            **ENDS,
            **same(NORMS),
            **same(
                {
                    f"{OURS}attention.qkv": f"{THEIRS}self_attn.qkv_proj",
                    f"{OURS}attention.out": f"{THEIRS}self_attn.o_proj",
                    f"{OURS}ffn.up": f"{THEIRS}mlp.gate_up_proj",
                    f"{OURS}ffn.down": f"{THEIRS}mlp.down_proj",
                }
            ),
        },
        vocab_size=32064,
        hidden_size=3072,
        num_key_value_heads=32,
        intermediate_size=8192,
        sliding_window=2047,
        pad_token_id=0,
    ),
    "starcoder2_7b": llama(
        "Starcoder2ForCausalLM",
        {
            "tok.weight": "model.embed_tokens.weight",
            **same({"norm": "model.norm", **NORMS}, bias=True),
            **joined(f"{OURS}attention.qkv", f"{THEIRS}self_attn.", "q_proj k_proj v_proj", bias=True),
            **same(
                {
                    f"{OURS}attention.out": f"{THEIRS}self_attn.o_proj",
                    f"{OURS}ffn.up": f"{THEIRS}mlp.c_fc",
                    f"{OURS}ffn.down": f"{THEIRS}mlp.c_proj",
                },
                bias=True,
            ),
        },
        theta=1e6,
        vocab_size=49152,
        hidden_size=4608,
        num_attention_heads=36,
        num_key_value_heads=4,
        intermediate_size=18432,
        sliding_window=4096,
        tie_word_embeddings=True,
    ),
    "command_r": llama(
        "CohereForCausalLM",
        {
            "tok.weight": "model.embed_tokens.weight",
            **same({"norm": "model.norm", f"{OURS}norm": f"{THEIRS}input_layernorm"}),
            **ATTENTION,
            **GATED,
        },
        theta=8e6,
        small={"num_key_value_heads": 4},
        vocab_size=256000,
        hidden_size=8192,
        num_hidden_layers=40,
        num_attention_heads=64,
        num_key_value_heads=64,
        intermediate_size=22528,
        layer_norm_eps=1e-5,
        logit_scale=0.0625,
        tie_word_embeddings=True,
    ),
}
