"""Further families, imported: for each a tiny model of `transformers` with random weights, compared with ours.

The settings are not the family's defaults where those could hide that one is not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import foreign, imported

BAR = 1e-9
SIZES = {"vocab_size": 97, "num_hidden_layers": 3, "hidden_size": 32, "intermediate_size": 40}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
ROPE: dict[str, Any] = {"rope_type": "default", "rope_theta": 500.0}
LLAMA = {**SIZES, **HEADS, "rms_norm_eps": 1e-3, "rope_parameters": ROPE, "tie_word_embeddings": False}
NORMED = {**SIZES, **HEADS, "rope_parameters": ROPE}
OPT = {"vocab_size": 97, "num_hidden_layers": 3, "hidden_size": 32, "ffn_dim": 40, "num_attention_heads": 4}
OPT |= {"max_position_embeddings": 20, "word_embed_proj_dim": 32}
FALCON = {"vocab_size": 97, "num_hidden_layers": 3, "hidden_size": 32, "num_attention_heads": 4}
MPT = {"vocab_size": 97, "n_layers": 3, "d_model": 32, "n_heads": 4}
LATENT: dict[str, Any] = {**SIZES, "num_attention_heads": 4, "rope_parameters": ROPE, "kv_lora_rank": 10}
LATENT |= {"qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 5, "moe_intermediate_size": 12}
LATENT |= {"n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1, "first_k_dense_replace": 1}
LATENT |= {"routed_scaling_factor": 1.5}
GPTJ = {"vocab_size": 97, "n_layer": 3, "n_embd": 32, "n_head": 4}
PART = {"rope_parameters": {**ROPE, "partial_rotary_factor": 0.5}}
YARN = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0, "original_max_position_embeddings": 8}
LLAMA3 = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LONG = {"rope_type": "longrope", "short_factor": [1.1, 1.2, 1.3, 1.4], "long_factor": [2.0, 3.0, 4.0, 5.0]}
EXPERTS = {"num_experts_per_tok": 2}
KIN: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-linear": ("LlamaForCausalLM", {**LLAMA, "rope_parameters": {**ROPE, "rope_type": "linear", "factor": 2.0}}),
    "llama-yarn": ("LlamaForCausalLM", {**LLAMA, "rope_parameters": YARN}),
    "llama-llama3": (
        "LlamaForCausalLM",
        {**LLAMA, "rope_parameters": {**ROPE, **LLAMA3, "original_max_position_embeddings": 8}},
    ),
    "llama-dynamic": (
        "LlamaForCausalLM",
        {**LLAMA, "max_position_embeddings": 8, "rope_parameters": {**ROPE, "rope_type": "dynamic", "factor": 2.0}},
    ),
    "mistral": ("MistralForCausalLM", {**LLAMA, "sliding_window": 5, "head_dim": 12}),
    "mistral-whole": ("MistralForCausalLM", {**LLAMA, "sliding_window": None, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2ForCausalLM", LLAMA),
    "qwen2-window": (
        "Qwen2ForCausalLM",
        {**LLAMA, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3ForCausalLM", {**LLAMA, "head_dim": 12, "attention_bias": True}),
    "gemma": ("GemmaForCausalLM", {**LLAMA, "head_dim": 12, "tie_word_embeddings": True, "attention_bias": True}),
    "phi3": ("Phi3ForCausalLM", {**LLAMA, "sliding_window": 6, "pad_token_id": 0}),
    "phi3-long": (
        "Phi3ForCausalLM",
        {**LLAMA, "rope_parameters": {**ROPE, **LONG}, "original_max_position_embeddings": 8, "pad_token_id": 0},
    ),
    "starcoder2": ("Starcoder2ForCausalLM", {**NORMED, "norm_epsilon": 1e-3, "sliding_window": 5}),
    "stablelm": ("StableLmForCausalLM", {**NORMED, "use_qkv_bias": True, "layer_norm_eps": 1e-3, **PART}),
    "stablelm-parallel": ("StableLmForCausalLM", {**NORMED, "use_parallel_residual": True, **PART}),
    "granite": (
        "GraniteForCausalLM",
        {
            **LLAMA,
            "embedding_multiplier": 3.0,
            "logits_scaling": 1.7,
            "residual_multiplier": 0.4,
            "attention_multiplier": 0.2,
        },
    ),
    "cohere": ("CohereForCausalLM", {**NORMED, "logit_scale": 0.3, "layer_norm_eps": 1e-3, "attention_bias": True}),
    "gptj": ("GPTJForCausalLM", {**GPTJ, "rotary_dim": 4, "n_inner": 40, "layer_norm_epsilon": 1e-3}),
    "olmo2": ("Olmo2ForCausalLM", {**LLAMA, "attention_bias": True}),
    "gemma3_text": (
        "Gemma3ForCausalLM",
        {
            **LLAMA,
            "num_hidden_layers": 4,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
            "rope_parameters": {
                "sliding_attention": ROPE,
                "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 90.0},
            },
            "head_dim": 8,
            "sliding_window": 4,
            "query_pre_attn_scalar": 9,
            "tie_word_embeddings": True,
        },
    ),
    "gpt_oss": (
        "GptOssForCausalLM",
        {
            **LLAMA,
            **EXPERTS,
            "num_local_experts": 4,
            "head_dim": 8,
            "sliding_window": 4,
            "rope_parameters": {**YARN, "truncate": False},
        },
    ),
    "deepseek_v2": (
        "DeepseekV2ForCausalLM",
        {**LATENT, "topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2, "q_lora_rank": 12},
    ),
    "deepseek_v2-lite": (
        "DeepseekV2ForCausalLM",
        {**LATENT, "q_lora_rank": None, "rope_parameters": {**YARN, "mscale": 0.7, "mscale_all_dim": 0.7}},
    ),
    "falcon": ("FalconForCausalLM", FALCON),
    "falcon-rw": ("FalconForCausalLM", {**FALCON, "alibi": True, "multi_query": False, "bias": True}),
    "falcon-apart": ("FalconForCausalLM", {**FALCON, "parallel_attn": False, "bias": True, "layer_norm_epsilon": 1e-3}),
    "falcon-second": (
        "FalconForCausalLM",
        {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "bias": True},
    ),
    "mpt": ("MptForCausalLM", {**MPT, "attn_config": {"clip_qkv": 0.5, "softmax_scale": 0.3}}),
    "opt": ("OPTForCausalLM", OPT),
    "opt-after": ("OPTForCausalLM", {**OPT, "do_layer_norm_before": False, "enable_bias": False}),
    "distilbert": (
        "DistilBertForMaskedLM",
        {"vocab_size": 97, "n_layers": 3, "dim": 32, "n_heads": 4, "hidden_dim": 40, "max_position_embeddings": 20},
    ),
    "mixtral": ("MixtralForCausalLM", {**LLAMA, **EXPERTS, "num_local_experts": 4, "sliding_window": 5}),
}


@pytest.mark.parametrize("name", KIN)
def test_a_family_is_imported(name: str, tmp_path: Path) -> None:
    kind, settings = KIN[name]
    family = name.partition("-")[0]
    # Falcon's eager attention adds ALiBi to the scores once more, after it has been put into the mask
    way = "sdpa" if name == "falcon-rw" else "eager"
    model = imported.theirs(tmp_path, kind, {"model_type": family, **settings}, way)
    tokens = foreign.tokens(97)
    ours = imported.ours(tmp_path)
    assert imported.size(ours) == imported.size(model)
    assert imported.difference(ours, (tokens,), foreign.run(model, {"input_ids": tokens}).logits) < BAR


def test_roberta_is_imported(tmp_path: Path) -> None:
    settings = {
        **SIZES,
        "num_attention_heads": 4,
        "max_position_embeddings": 20,
        "type_vocab_size": 2,
        "pad_token_id": 1,
    }
    model = imported.theirs(tmp_path, "RobertaForMaskedLM", {"model_type": "roberta", **settings})
    tokens, segments = foreign.tokens(97), foreign.tokens(2, low=0)
    tokens[0, 9:] = 1
    inputs = {"input_ids": tokens, "token_type_ids": segments, "attention_mask": tokens.ne(1).long()}
    wanted = foreign.run(model, inputs).logits
    assert imported.difference(imported.ours(tmp_path), (tokens, segments), wanted, tokens.ne(1)) < BAR
