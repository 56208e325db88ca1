"""The published models that write text from left to right and are named as the GPTs are, each in a way of its own."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from tests.foreign import Given
from tests.published import Published
from tests.published.llamas import LLAMA_KEYS, OURS, ROPE, joined, same


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
MODELS: dict[str, Published] = {
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
}
