"""The published models of two streams: one that reads and one that writes, or texts and images side by side."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tests.foreign import Given
from tests.published import TINY, Published
from tests.published.llamas import joined, same

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


def readers(model: str, whisper: bool) -> dict[str, Given]:
    """Return the layers of BART or Whisper; Whisper's keys have no bias, and its norms stand before each branch."""
    found: dict[str, Given] = {}
    for stack, parts in (("encoder", ("attention",)), ("decoder", ("attention_1", "attention_2"))):
        ours, theirs = f"{stack}.{stack}_layers.{{i}}.", f"{model}.{stack}.layers.{{i}}."
        names = {parts[0]: "self_attn"} | ({"attention_2": "encoder_attn"} if len(parts) > 1 else {})
        for place, (part, name) in enumerate(names.items()):
            found |= _attended(f"{ours}{part}", f"{theirs}{name}.", cross=name == "encoder_attn", keys=not whisper)
            found |= same({f"{ours}norm_{place + 1}": f"{theirs}{name}_layer_norm"}, bias=True)
        last = {f"{ours}norm_{len(parts) + 1}": "final_layer_norm", f"{ours}ffn.up": "fc1", f"{ours}ffn.down": "fc2"}
        found |= same({name: f"{theirs}{each}" for name, each in last.items()}, bias=True)
    return found


def _attended(ours: str, theirs: str, cross: bool, keys: bool) -> dict[str, Given]:
    found = same({f"{ours}.out": f"{theirs}out_proj"}, bias=True)
    if cross:
        found |= same({f"{ours}.q": f"{theirs}q_proj"}, bias=True)
        found |= joined(f"{ours}.kv", theirs, "k_proj v_proj", bias=keys)
    else:
        found |= joined(f"{ours}.qkv", theirs, "q_proj k_proj v_proj", bias=keys)
    shifts = ("v",) if cross else ("q", "v")
    return found if keys else {**found, **{f"{ours}.{each}_bias": f"{theirs}{each}_proj.bias" for each in shifts}}


BART: dict[str, Given] = {
    "encoder.tok.weight": "model.shared.weight",
    "encoder.position.weight": "model.encoder.embed_positions.weight",
    "decoder.position.weight": "model.decoder.embed_positions.weight",
    **same({f"{each}.norm": f"model.{each}.layernorm_embedding" for each in ("encoder", "decoder")}, bias=True),
    **readers("model", whisper=False),
}
WHISPER: dict[str, Given] = {
    "decoder.tok.weight": "model.decoder.embed_tokens.weight",
    "decoder.position.weight": "model.decoder.embed_positions.weight",
    **same({"encoder.conv_1": "model.encoder.conv1", "encoder.conv_2": "model.encoder.conv2"}, bias=True),
    **same({f"{each}.norm": f"model.{each}.layer_norm" for each in ("encoder", "decoder")}, bias=True),
    **readers("model", whisper=True),
}
STACKS = {
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 12,
    "decoder_attention_heads": 12,
    "encoder_ffn_dim": 3072,
    "decoder_ffn_dim": 3072,
}
FEW = {
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
}
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
    "bart": Published(
        "BartForConditionalGeneration",
        {"vocab_size": 50265, "d_model": 768, "max_position_embeddings": 1024, **STACKS},
        {"vocab_size": "vocab_size", "d_model": "d_model", "context": "max_position_embeddings"},
        BART,
        FEW,
        {"n_layers": 2, "n_heads": 4, "d_ff": 64},
        ignore="final_logits_bias",
    ),
    "whisper_base": Published(
        "WhisperForConditionalGeneration",
        {
            "vocab_size": 51865,
            "d_model": 512,
            "num_mel_bins": 80,
            "max_source_positions": 1500,
            "max_target_positions": 448,
            **STACKS,
            "encoder_attention_heads": 8,
            "decoder_attention_heads": 8,
            "encoder_ffn_dim": 2048,
            "decoder_ffn_dim": 2048,
        },
        {"vocab_size": "vocab_size", "d_model": "d_model", "mels": "num_mel_bins", "context": "max_target_positions"},
        WHISPER,
        {**FEW, "max_source_positions": 12, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
        {"n_layers": 2, "n_heads": 4, "d_ff": 64, "frames": 24},
        ignore=r"encoder\.embed_positions",
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
