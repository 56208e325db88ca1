"""What tests of models' ends have in common: small sizes, and where `transformers` keeps the weights of layers."""

from __future__ import annotations

import torch
from torch import Tensor

from tests import foreign

VOCAB = 50
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 24,
    "layer_norm_eps": 2e-3,
}
IMAGES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "image_size": 16,
    "patch_size": 4,
    "layer_norm_eps": 2e-3,
}
DEFAULTS = """defaults:
  norm: {eps: 2e-3}
  attention: {heads: 4, bias: true}
  ffn: {hidden: 40, activation: gelu, bias: true}
"""
CLIPS = {"norm_1": "layer_norm1", "norm_2": "layer_norm2", "attention": "self_attn", "out": "out_proj"}
POST = """blocks:
  layer: [residual: [attention], norm, residual: [ffn], norm]
"""
PRE = """blocks:
  layer: [residual: [norm, attention], residual: [norm, ffn]]
"""


def pixels() -> Tensor:
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def pair(ours: str, theirs: str, bias: bool = True) -> dict[str, foreign.Given]:
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in (("weight", "bias") if bias else ("weight",))}


def rows(ours: str, theirs: str, *names: str) -> dict[str, foreign.Given]:
    return {f"{ours}.{part}": [f"{theirs}.{name}.{part}" for name in names] for part in ("weight", "bias")}


def vit(layer: str, ours: str = "layers.{i}", **names: str) -> dict[str, foreign.Given]:
    """Return where the weights of a ViT's layers are."""
    known = {
        "norm_1": "layernorm_before",
        "norm_2": "layernorm_after",
        "attention": "attention",
        "out": "o_proj",
    } | names
    found = pair(f"{ours}.norm_1", f"{layer}.{known['norm_1']}") | pair(f"{ours}.norm_2", f"{layer}.{known['norm_2']}")
    found |= rows(f"{ours}.attention.qkv", f"{layer}.{known['attention']}", "q_proj", "k_proj", "v_proj")
    found |= pair(f"{ours}.attention.out", f"{layer}.{known['attention']}.{known['out']}")
    return found | pair(f"{ours}.ffn.up", f"{layer}.mlp.fc1") | pair(f"{ours}.ffn.down", f"{layer}.mlp.fc2")
