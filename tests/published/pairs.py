"""The published models of two streams: one that reads and one that writes, or texts and images side by side."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tests.foreign import Given
from tests.published import TINY, Published
from tests.published.decoders import joined, same

T5_KEYS = {
    "vocab_size": "vocab_size",
    "n_layers": "num_layers",
    "d_model": "d_model",
    "n_heads": "num_heads",
    "head_dim": "d_kv",
    "d_ff": "d_ff",
}


def t5(gated: bool) -> dict[str, Given]:
    """Return the weights of T5."""
    found: dict[str, Given] = {
        "encoder.tok.weight": "shared.weight",
        "encoder.norm.weight": "encoder.final_layer_norm.weight",
        "decoder.norm.weight": "decoder.final_layer_norm.weight",
    }
    for stack, parts in (("encoder", ("attention",)), ("decoder", ("attention_1", "attention_2"))):
        ours, theirs = f"{stack}.{stack}_layers.{{i}}.", f"{stack}.block.{{i}}.layer."
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        found |= {f"{stack}.{stack}_bias.weight": bias}
        found |= joined(f"{ours}{parts[0]}.qkv", f"{theirs}0.SelfAttention.", "q k v")
        found |= same({f"{ours}{parts[0]}.out": f"{theirs}0.SelfAttention.o"})
        if stack == "decoder":
            found |= same({f"{ours}attention_2.q": f"{theirs}1.EncDecAttention.q"})
            found |= joined(f"{ours}attention_2.kv", f"{theirs}1.EncDecAttention.", "k v")
            found |= same({f"{ours}attention_2.out": f"{theirs}1.EncDecAttention.o"})
        last = len(parts)
        found |= same({f"{ours}norm_{place + 1}": f"{theirs}{place}.layer_norm" for place in range(last + 1)})
        dense = f"{theirs}{last}.DenseReluDense."
        found |= joined(f"{ours}ffn.up", dense, "wi_0 wi_1") if gated else same({f"{ours}ffn.up": f"{dense}wi"})
        found |= same({f"{ours}ffn.down": f"{dense}wo"})
    return found


def switch() -> dict[str, Given]:
    """Return the weights of a Switch Transformer, whose odd layers have experts."""
    found = {name: each for name, each in t5(gated=False).items() if ".ffn." not in name}
    for stack, last in (("encoder", 1), ("decoder", 2)):
        ours, theirs = f"{stack}.{stack}_layers.{{i}}.mlp.", f"{stack}.block.{{i}}.layer.{last}.mlp."
        found |= same({f"{ours}ffn.up": f"{theirs}wi", f"{ours}ffn.down": f"{theirs}wo"})
        found |= same({f"{ours}moe.router": f"{theirs}router.classifier"})
        found |= {f"{ours}moe.up": _stacked(f"{theirs}experts.expert_{{e}}.wi.weight")}
        found |= {f"{ours}moe.down": _stacked(f"{theirs}experts.expert_{{e}}.wo.weight")}
    return found


def _stacked(name: str):
    """Return what gives the matrices of all experts as one tensor."""

    def taken(weights: Mapping[str, Tensor], i: int) -> Tensor:
        first = name.replace("{i}", str(i))
        return torch.stack([weights[first.replace("{e}", str(expert))] for expert in range(TINY["n_experts"])])

    return taken


def clip() -> dict[str, Given]:
    """Return the weights of CLIP."""
    found: dict[str, Given] = {
        "text.embed.weight": "text_model.embeddings.token_embedding.weight",
        "text.position.weight": "text_model.embeddings.position_embedding.weight",
        "picture.position.weight": "vision_model.embeddings.position_embedding.weight",
        "picture.patch.weight": "vision_model.embeddings.patch_embedding.weight",
        "picture.cls.weight": lambda weights: weights["vision_model.embeddings.class_embedding"][None],
        "warmth.log.weight": "logit_scale",
        **same({"text.linear": "text_projection", "picture.linear": "visual_projection"}),
        **same(
            {
                "text.norm_1": "text_model.final_layer_norm",
                "picture.norm_1": "vision_model.pre_layrnorm",
                "picture.norm_2": "vision_model.post_layernorm",
            },
            bias=True,
        ),
    }
    for ours, theirs in (("text.text", "text"), ("picture.image", "vision")):
        layer, other = f"{ours}_layers.{{i}}.", f"{theirs}_model.encoder.layers.{{i}}."
        found |= joined(f"{layer}attention.qkv", f"{other}self_attn.", "q_proj k_proj v_proj", bias=True)
        parts = {"attention.out": "self_attn.out_proj", "norm_1": "layer_norm1", "norm_2": "layer_norm2"}
        parts |= {"ffn.up": "mlp.fc1", "ffn.down": "mlp.fc2"}
        found |= same({f"{layer}{part}": f"{other}{each}" for part, each in parts.items()}, bias=True)
    return found


def small(layers: int, gated: bool, **more: object) -> dict[str, object]:
    """Return the config of T5 small."""
    usual = {"vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": layers, "num_heads": 8}
    return {**usual, "feed_forward_proj": "gated-gelu" if gated else "relu", "tie_word_embeddings": not gated, **more}


TOWER = {"hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8, "intermediate_size": 2048}
CLIP_DIMS = {
    "d_text": 32,
    "n_text_layers": 2,
    "n_text_heads": 4,
    "d_image": 48,
    "n_image_layers": 2,
    "n_image_heads": 4,
    "d_common": 24,
}
MODELS: dict[str, Published] = {
    "t5": Published("T5ForConditionalGeneration", small(6, gated=False), T5_KEYS, t5(gated=False)),
    "t5_v1_1": Published(
        "T5ForConditionalGeneration",
        small(8, gated=True, d_ff=1024, num_heads=6),
        T5_KEYS,
        {**t5(gated=True), "decoder.logits.weight": "lm_head.weight"},
        untied=32128 * 512,
    ),
    "switch_base_8": Published(
        "SwitchTransformersForConditionalGeneration",
        {
            "vocab_size": 32128,
            "d_model": 768,
            "d_kv": 64,
            "d_ff": 3072,
            "num_layers": 12,
            "num_decoder_layers": 12,
            "num_heads": 12,
            "num_experts": 8,
            "num_sparse_encoder_layers": 6,
            "num_sparse_decoder_layers": 6,
        },
        {**T5_KEYS, "n_experts": "num_experts"},
        switch(),
        {"num_decoder_layers": 2, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    ),
    "clip_vit_b32": Published(
        "CLIPModel",
        {
            "text_config": {**TOWER, "vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 2},
            "vision_config": {
                **TOWER,
                "hidden_size": 768,
                "intermediate_size": 3072,
                "num_attention_heads": 12,
                "image_size": 224,
                "patch_size": 32,
            },
            "projection_dim": 512,
        },
        {
            "vocab_size": "text_config.vocab_size",
            "context": "text_config.max_position_embeddings",
            "d_text": "text_config.hidden_size",
            "n_text_layers": "text_config.num_hidden_layers",
            "n_text_heads": "text_config.num_attention_heads",
            "d_image": "vision_config.hidden_size",
            "n_image_layers": "vision_config.num_hidden_layers",
            "n_image_heads": "vision_config.num_attention_heads",
            "image": "vision_config.image_size",
            "patch": "vision_config.patch_size",
            "d_common": "projection_dim",
            "d_text_ff": "text_config.intermediate_size",
            "d_image_ff": "vision_config.intermediate_size",
        },
        clip(),
        ours={**CLIP_DIMS, "d_text_ff": 128, "d_image_ff": 192},
        output="logits_per_text",
    ),
}
