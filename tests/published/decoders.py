"""The published models that write text from left to right."""

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


def _columns(name: str):
    """Return what gives a matrix of theirs that is stored as (in, out)."""
    return lambda weights, i: weights[name.replace("{i}", str(i))].T


def _parted(name: str, heads: int):
    """Return what gives q, k and v, one after the other, of a projection that has them head by head."""

    def taken(weights: Mapping[str, Tensor], i: int) -> Tensor:
        whole = weights[name.replace("{i}", str(i))]
        return whole.unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2)

    return taken


H, BLOCKS = "transformer.h.{i}.", "transformer.blocks.{i}."
GPT2_PARTS = {
    "attention.qkv": "attn.c_attn",
    "attention.out": "attn.c_proj",
    "ffn.up": "mlp.c_fc",
    "ffn.down": "mlp.c_proj",
}
GPT2: dict[str, Given] = {
    "tok.weight": "transformer.wte.weight",
    "position.weight": "transformer.wpe.weight",
    **same({"norm": "transformer.ln_f", f"{OURS}norm_1": f"{H}ln_1", f"{OURS}norm_2": f"{H}ln_2"}, bias=True),
    **{f"{OURS}{ours}.weight": _columns(f"{H}{theirs}.weight") for ours, theirs in GPT2_PARTS.items()},
    **{f"{OURS}{ours}.bias": f"{H}{theirs}.bias" for ours, theirs in GPT2_PARTS.items()},
}
GPT2_KEYS = {
    "vocab_size": "vocab_size",
    "context": "n_positions",
    "n_layers": "n_layer",
    "d_model": "n_embd",
    "n_heads": "n_head",
}
GPT1 = {name: each for name, each in GPT2.items() if not name.startswith(("norm.", "tok", "position"))}
GPT1 |= {"tok.weight": "transformer.tokens_embed.weight", "position.weight": "transformer.positions_embed.weight"}


def gpt2(layers: int, width: int, heads: int, context: int = 1024) -> Published:
    """Return a GPT-2 of a size."""
    config = {"vocab_size": 50257, "n_positions": context, "n_layer": layers, "n_embd": width, "n_head": heads}
    return Published("GPT2LMHeadModel", config, GPT2_KEYS, GPT2)


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
STEM = "model.decoder.layers.{i}."
OPT: dict[str, Given] = {
    "tok.weight": "model.decoder.embed_tokens.weight",
    "position.weight": "model.decoder.embed_positions.weight",
    **joined(f"{OURS}attention.qkv", f"{STEM}self_attn.", "q_proj k_proj v_proj", bias=True),
    **same(
        {
            f"{OURS}attention.out": f"{STEM}self_attn.out_proj",
            f"{OURS}norm_1": f"{STEM}self_attn_layer_norm",
            f"{OURS}norm_2": f"{STEM}final_layer_norm",
            f"{OURS}ffn.up": f"{STEM}fc1",
            f"{OURS}ffn.down": f"{STEM}fc2",
            "norm": "model.decoder.final_layer_norm",
        },
        bias=True,
    ),
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
    "opt_6_7b": Published(
        "OPTForCausalLM",
        {
            "vocab_size": 50272,
            "max_position_embeddings": 2048,
            "hidden_size": 4096,
            "word_embed_proj_dim": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "ffn_dim": 16384,
        },
        {
            "vocab_size": "vocab_size",
            "context": "max_position_embeddings",
            "n_layers": "num_hidden_layers",
            "d_model": "hidden_size",
            "n_heads": "num_attention_heads",
        },
        OPT,
        {"word_embed_proj_dim": 64, "ffn_dim": 256},
    ),
    "gpt1": Published(
        "OpenAIGPTLMHeadModel",
        {"vocab_size": 40478, "n_positions": 512, "n_layer": 12, "n_embd": 768, "n_head": 12},
        GPT2_KEYS,
        GPT1,
    ),
    "gpt2": gpt2(12, 768, 12),
    "gpt2_medium": gpt2(24, 1024, 16),
    "gpt2_large": gpt2(36, 1280, 20),
    "gpt2_xl": gpt2(48, 1600, 25),
    "gpt3": gpt2(96, 12288, 96, 2048),
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
    "gpt_neox_20b": Published(
        "GPTNeoXForCausalLM",
        {
            "vocab_size": 50432,
            "hidden_size": 6144,
            "num_hidden_layers": 44,
            "num_attention_heads": 64,
            "intermediate_size": 24576,
            "hidden_act": "gelu_fast",
            "rope_parameters": {**ROPE, "rope_theta": 10000, "partial_rotary_factor": 0.25},
            "layer_norm_eps": 1e-5,
            "use_parallel_residual": True,
        },
        {key: each for key, each in LLAMA_KEYS.items() if key != "n_kv_heads"},
        {
            **same({"embed": "gpt_neox.embed_in", "logits": "lm_head"}),
            **same(
                {
                    "norm": "gpt_neox.final_layer_norm",
                    f"{OURS}norm_1": "gpt_neox.layers.{i}.input_layernorm",
                    f"{OURS}norm_2": "gpt_neox.layers.{i}.post_attention_layernorm",
                    f"{OURS}attention.out": "gpt_neox.layers.{i}.attention.dense",
                    f"{OURS}ffn.up": "gpt_neox.layers.{i}.mlp.dense_h_to_4h",
                    f"{OURS}ffn.down": "gpt_neox.layers.{i}.mlp.dense_4h_to_h",
                },
                bias=True,
            ),
            f"{OURS}attention.qkv.weight": _parted("gpt_neox.layers.{i}.attention.query_key_value.weight", 4),
            f"{OURS}attention.qkv.bias": _parted("gpt_neox.layers.{i}.attention.query_key_value.bias", 4),
        },
    ),
    "gpt_j_6b": Published(
        "GPTJForCausalLM",
        {"vocab_size": 50400, "n_embd": 4096, "n_layer": 28, "n_head": 16, "rotary_dim": 64, "n_positions": 2048},
        {**{dim: key for dim, key in GPT2_KEYS.items() if dim != "context"}, "rotary_dim": "rotary_dim"},
        {
            "embed.weight": "transformer.wte.weight",
            **joined(f"{OURS}attention.qkv", f"{H}attn.", "q_proj k_proj v_proj"),
            **same({f"{OURS}attention.out": f"{H}attn.out_proj"}),
            **same(
                {
                    f"{OURS}norm": f"{H}ln_1",
                    f"{OURS}ffn.up": f"{H}mlp.fc_in",
                    f"{OURS}ffn.down": f"{H}mlp.fc_out",
                    "norm": "transformer.ln_f",
                    "logits": "lm_head",
                },
                bias=True,
            ),
        },
    ),
    "falcon_7b": Published(
        "FalconForCausalLM",
        {
            "vocab_size": 65024,
            "hidden_size": 4544,
            "num_hidden_layers": 32,
            "num_attention_heads": 71,
            "multi_query": True,
            "parallel_attn": True,
            "bias": False,
            "alibi": False,
            "new_decoder_architecture": False,
            "rope_parameters": {**ROPE, "rope_theta": 1e4},
        },
        {dim: key for dim, key in LLAMA_KEYS.items() if dim not in ("n_kv_heads", "d_ff")},
        {
            "tok.weight": "transformer.word_embeddings.weight",
            **same({f"{OURS}norm": f"{H}input_layernorm", "norm": "transformer.ln_f"}, bias=True),
            **same(
                {
                    f"{OURS}attention.qkv": f"{H}self_attention.query_key_value",
                    f"{OURS}attention.out": f"{H}self_attention.dense",
                    f"{OURS}ffn.up": f"{H}mlp.dense_h_to_4h",
                    f"{OURS}ffn.down": f"{H}mlp.dense_4h_to_h",
                }
            ),
        },
    ),
    "bloom": Published(
        "BloomForCausalLM",
        {"vocab_size": 250880, "hidden_size": 14336, "n_layer": 70, "n_head": 112, "layer_norm_epsilon": 1e-5},
        {"vocab_size": "vocab_size", "n_layers": "n_layer", "d_model": "hidden_size", "n_heads": "n_head"},
        {
            "tok.weight": "transformer.word_embeddings.weight",
            **same(
                {
                    "norm_1": "transformer.word_embeddings_layernorm",
                    f"{OURS}norm_1": f"{H}input_layernorm",
                    f"{OURS}attention.out": f"{H}self_attention.dense",
                    f"{OURS}norm_2": f"{H}post_attention_layernorm",
                    f"{OURS}ffn.up": f"{H}mlp.dense_h_to_4h",
                    f"{OURS}ffn.down": f"{H}mlp.dense_4h_to_h",
                    "norm_2": "transformer.ln_f",
                },
                bias=True,
            ),
            f"{OURS}attention.qkv.weight": _parted(f"{H}self_attention.query_key_value.weight", 4),
            f"{OURS}attention.qkv.bias": _parted(f"{H}self_attention.query_key_value.bias", 4),
        },
    ),
    "mpt_7b": Published(
        "MptForCausalLM",
        {"vocab_size": 50432, "d_model": 4096, "n_layers": 32, "n_heads": 32, "expansion_ratio": 4},
        {"vocab_size": "vocab_size", "n_layers": "n_layers", "d_model": "d_model", "n_heads": "n_heads"},
        {
            "tok.weight": "transformer.wte.weight",
            **same(
                {
                    f"{OURS}norm_1": f"{BLOCKS}norm_1",
                    f"{OURS}attention.qkv": f"{BLOCKS}attn.Wqkv",
                    f"{OURS}attention.out": f"{BLOCKS}attn.out_proj",
                    f"{OURS}norm_2": f"{BLOCKS}norm_2",
                    f"{OURS}ffn.up": f"{BLOCKS}ffn.up_proj",
                    f"{OURS}ffn.down": f"{BLOCKS}ffn.down_proj",
                    "norm": "transformer.norm_f",
                }
            ),
        },
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
