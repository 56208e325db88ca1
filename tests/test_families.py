"""Published families, imported: tiny models whose exact output another library gave in float64 (`tests/families`).

A folder holds a checkpoint as that library wrote it, and in `exact.safetensors` the inputs, the logits, and for causal
models greedy tokens. `LIVE` are the settings that move a family's logits: each is changed and compared anew, with the
library itself, so that none is a default that happens to fit. Biases of keys cannot move an output; that no tensor is
missing and none left over holds them.
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
from tfdsl.weights import families

NAMES = sorted(set(CLASSES) & set(families.known()))
BAR = 1e-9
GREEDY = [name for name in NAMES if "greedy.tokens" in load_file(FIXTURES / name / "exact.safetensors")]
LIVE: dict[str, dict[str, Any]] = {
    "bert": {"hidden_act": "relu", "layer_norm_eps": 1e-3, "num_attention_heads": 2},
    "gpt2": {
        "n_head": 2,
        "activation_function": "relu",
        "layer_norm_epsilon": 1e-3,
        "scale_attn_weights": False,
        "scale_attn_by_inverse_layer_idx": True,
    },
    "llama": {
        "hidden_act": "gelu",
        "rms_norm_eps": 1e-3,
        "rope_parameters.rope_theta": 99.0,
        "attention_bias": True,
        "mlp_bias": True,
        "tie_word_embeddings": True,
        "num_key_value_heads": 1,
    },
    "t5": {
        "relative_attention_max_distance": 6,
        "relative_attention_num_buckets": 6,
        "layer_norm_epsilon": 1e-3,
        "feed_forward_proj": "gated-gelu",
        "scale_decoder_outputs": False,
        "tie_word_embeddings": False,
    },
    "vit": {"num_attention_heads": 2, "hidden_act": "relu", "layer_norm_eps": 1e-3, "qkv_bias": False},
}


def config(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / name / "config.json").read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_the_familys(name: str) -> None:
    torch.set_num_threads(1)
    exact = load_file(FIXTURES / name / "exact.safetensors")
    given = tuple(each for key, each in exact.items() if key.startswith("in."))
    given = given if name != "bart" else given[::-1]
    assert difference(ours(FIXTURES / name), order(name, exact), exact["logits"], exact.get("valid")) < BAR


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("name", GREEDY)
def test_greedy_tokens_are_the_familys(name: str, cached: bool) -> None:
    torch.set_num_threads(1)
    exact = load_file(FIXTURES / name / "exact.safetensors")
    wanted = exact["greedy.tokens"]
    assert torch.equal(greedy(ours(FIXTURES / name), exact["greedy.prompt"], wanted.size(1), cached), wanted)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in NAMES for key in LIVE[name]])
def test_a_setting_is_honoured(name: str, key: str, tmp_path: Path) -> None:
    exact = load_file(FIXTURES / name / "exact.safetensors")
    model = theirs(tmp_path, CLASSES[name], changed(config(name), key, LIVE[name][key]))
    inputs = {each.removeprefix("in."): value for each, value in exact.items() if each.startswith("in.")}
    inputs = {each: value.double() if value.is_floating_point() else value for each, value in inputs.items()}
    given = {**inputs, "attention_mask": inputs["input_ids"].ne(1).long()} if name == "bert" else inputs
    if name == "t5":
        given["attention_mask"] = inputs["input_ids"].ne(0).long()
    wanted = foreign.run(model, given).logits
    assert difference(ours(tmp_path), order(name, exact), wanted, exact.get("valid")) < BAR


def order(name: str, exact: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return the inputs in our order: what is read first, first; then what answers it."""
    names = ("input_ids", "input_features", "pixel_values", "token_type_ids", "decoder_input_ids")
    return tuple(exact[f"in.{each}"] for each in names if f"in.{each}" in exact)


@pytest.mark.parametrize("name", NAMES)
def test_what_goes_out_is_what_came_in(name: str, tmp_path: Path) -> None:
    imported.round_trip(FIXTURES / name, tmp_path)
