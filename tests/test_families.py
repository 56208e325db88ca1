"""Published families, imported: tiny models whose exact output another library gave in float64 (`tests/families`).

A folder holds a checkpoint as that library wrote it, and in `exact.safetensors` the inputs, the logits, and for causal
models greedy tokens. `LIVE` are settings that move a family's logits: they are changed, a few at a time, and compared
anew with the library itself, so that none is a default that happens to fit. Biases of keys cannot move an output; that
no tensor is missing and none left over holds them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests import foreign, imported
from tests.imported import CLASSES, FIXTURES, changed, difference, greedy, ours, theirs

NAMES = sorted(CLASSES)
BAR = 1e-9
PADDED = {"albert": 1, "bart": 1, "bert": 1, "t5": 0}  # what stands for nothing in the inputs
GREEDY = [name for name in NAMES if "greedy.tokens" in load_file(FIXTURES / name / "exact.safetensors")]
ROPE = {"rope_parameters.rope_theta": 99.0}
YARN = {"factor": 3.0, "beta_fast": 20.0, "beta_slow": 2.0, "mscale": 0.7, "mscale_all_dim": 0.5}
YARN = {f"rope_parameters.{key}": value for key, value in YARN.items()}
LIVE: dict[str, tuple[dict[str, Any], ...]] = {
    "albert": ({"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_act": "relu", "layer_norm_eps": 1e-3},),
    "bart": (
        {"encoder_attention_heads": 2, "activation_function": "relu", "scale_embedding": False},
        {"decoder_attention_heads": 2, "encoder_layers": 1},
    ),
    "bert": ({"hidden_act": "relu", "layer_norm_eps": 1e-3, "num_attention_heads": 2},),
    "bloom": (
        {"n_head": 6, "layer_norm_epsilon": 1e-3},
        {"apply_residual_connection_post_layernorm": True},
    ),
    "deepseek_v3": (
        {"routed_scaling_factor": 0.9, "topk_group": 1, "rms_norm_eps": 1e-3, **ROPE, **YARN},
        {"num_experts_per_tok": 3, "hidden_act": "gelu", "first_k_dense_replace": 0, "rope_interleave": False},
        {
            "norm_topk_prob": False,
            "attention_bias": True,
            "n_shared_experts": 2,
            "rope_parameters.original_max_position_embeddings": 64,
        },
        {"q_lora_rank": None, "rope_parameters.rope_type": "default"},
    ),
    "gemma2": (
        {"hidden_activation": "silu", "rms_norm_eps": 1e-3, **ROPE, "sliding_window": 6, "attention_bias": True},
        {"query_pre_attn_scalar": 9, "attn_logit_softcapping": 9.0, "final_logit_softcapping": None},
        {"final_logit_softcapping": 2.0, "attn_logit_softcapping": None, "num_key_value_heads": 4},
    ),
    "gpt2": (
        {"n_head": 2, "activation_function": "relu", "layer_norm_epsilon": 1e-3, "scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True, "n_inner": None, "tie_word_embeddings": False},
    ),
    "gpt_neox": (
        {"num_attention_heads": 2, "hidden_act": "relu", "layer_norm_eps": 1e-3, "attention_bias": False},
        {"use_parallel_residual": False, **ROPE, "rope_parameters.partial_rotary_factor": 0.5},
    ),
    "llama": (
        {"hidden_act": "gelu", "rms_norm_eps": 1e-3, **ROPE, "attention_bias": True},
        {"mlp_bias": True, "tie_word_embeddings": True, "num_key_value_heads": 1, "head_dim": 12},
    ),
    "qwen3_moe": (
        {"hidden_act": "gelu", "rms_norm_eps": 1e-3, **ROPE, "num_experts_per_tok": 3, "attention_bias": True},
        {"norm_topk_prob": False, "decoder_sparse_step": 2, "mlp_only_layers": []},
        {"decoder_sparse_step": 1, "mlp_only_layers": []},
    ),
    "t5": (
        {"relative_attention_max_distance": 6, "relative_attention_num_buckets": 6, "layer_norm_epsilon": 1e-3},
        {"dense_act_fn": "silu", "is_gated_act": True},
        {"scale_decoder_outputs": False, "tie_word_embeddings": False},
    ),
    "vit": (
        {"num_attention_heads": 2, "hidden_act": "relu", "layer_norm_eps": 1e-3},
        {"qkv_bias": False, "patch_size": 6, "num_channels": 3},
    ),
    "whisper": ({"encoder_attention_heads": 2, "decoder_attention_heads": 3, "activation_function": "relu"},),
}


def config(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / name / "config.json").read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_the_familys(name: str) -> None:
    torch.set_num_threads(1)
    exact = load_file(FIXTURES / name / "exact.safetensors")
    assert difference(ours(FIXTURES / name), order(name, exact), exact["logits"], exact.get("valid")) < BAR


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("name", GREEDY)
def test_greedy_tokens_are_the_familys(name: str, cached: bool) -> None:
    torch.set_num_threads(1)
    exact = load_file(FIXTURES / name / "exact.safetensors")
    wanted = exact["greedy.tokens"]
    assert torch.equal(greedy(ours(FIXTURES / name), exact["greedy.prompt"], wanted.size(1), cached), wanted)


@pytest.mark.parametrize(("name", "number"), [(name, n) for name in NAMES for n in range(len(LIVE[name]))])
def test_settings_are_honoured(name: str, number: int, tmp_path: Path) -> None:
    exact = load_file(FIXTURES / name / "exact.safetensors")
    given = config(name)
    for key, value in LIVE[name][number].items():
        given = changed(given, key, value)
    model = theirs(tmp_path, CLASSES[name], given)
    inputs = {each.removeprefix("in."): value for each, value in exact.items() if each.startswith("in.")}
    inputs = {each: value.double() if value.is_floating_point() else value for each, value in inputs.items()}
    pad = PADDED.get(name)
    asked = inputs if pad is None else {**inputs, "attention_mask": inputs["input_ids"].ne(pad).long()}
    wanted = foreign.run(model, asked).logits
    assert difference(ours(tmp_path), order(name, exact), wanted, exact.get("valid")) < BAR


def order(name: str, exact: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return the inputs in our order: what is read first, first; then what answers it."""
    names = ("input_ids", "input_features", "pixel_values", "token_type_ids", "decoder_input_ids")
    return tuple(exact[f"in.{each}"] for each in names if f"in.{each}" in exact)


@pytest.mark.parametrize("name", NAMES)
def test_what_goes_out_is_what_came_in(name: str, tmp_path: Path) -> None:
    imported.round_trip(FIXTURES / name, tmp_path)
