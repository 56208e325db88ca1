"""t5: an encoder and a decoder with a table of relative positions each, and scores that are not scaled."""

from __future__ import annotations

from tfdsl.weights.config import Config, Refused
from tfdsl.weights.recipes import ACTIVATIONS, GATED, Tree, dropout, each


def spec(c: Config) -> Tree:
    """Return the spec of a T5: of version 1.0, and of 1.1, which has gates and a head of its own."""
    c.only("is_decoder", False)
    c.inert("classifier_dropout", "n_positions")
    layers = c.whole("num_layers", 6)
    tied = c.truth("tie_word_embeddings", True)
    left = dropout(c, dropout="dropout_rate")
    after = [{"dropout": probability} for probability in left.values()]
    place = {
        "type": "t5",
        "buckets": c.whole("relative_attention_num_buckets", 32),
        "max_distance": c.whole("relative_attention_max_distance", 128),
    }
    scaled = c.truth("scale_decoder_outputs", tied)
    activation, gated = _activation(c)
    return {
        "tfdsl": 1,
        "name": "t5",
        "dims": {
            "vocab_size": c.whole("vocab_size", 32128),
            "n_encoder_layers": layers,
            "n_decoder_layers": c.whole("num_decoder_layers", layers),
            "d_model": c.whole("d_model", 512),
            "n_heads": c.whole("num_heads", 8),
            "head_dim": c.whole("d_kv", 64),
            "d_ff": c.whole("d_ff", 2048),
        },
        "inputs": {
            "source": {"shape": ["B", "S"], "vocab": "vocab_size", "pad": c.whole("pad_token_id", 0)},
            "target": {"shape": ["B", "T"], "vocab": "vocab_size"},
        },
        "outputs": {"logits": ["B", "T", "vocab_size"]},
        "defaults": {
            "norm": {"type": "rms", "eps": c.number("layer_norm_epsilon", 1e-6)},
            "attention": {"heads": "n_heads", "head_dim": "head_dim", "scale": 1, **left},
            "ffn": {"hidden": "d_ff", "activation": activation, **left},
            **({"residual": left} if left else {}),
        },
        "blocks": {
            "encoder_layer": [
                {"residual": ["norm", {"attention": {"position": {**place, "share": "encoder"}}}]},
                {"residual": ["norm", "ffn"]},
            ],
            "decoder_layer": [
                {"residual": ["norm", {"attention": {"mask": "causal", "position": {**place, "share": "decoder"}}}]},
                {"residual": ["norm", {"attention": {"kv": "encoder"}}]},
                {"residual": ["norm", "ffn"]},
            ],
        },
        "model": {
            "encoder": [
                {"embed": {"id": "tok", "from": "source", "width": "d_model"}},
                *after,
                {"repeat": {"block": "encoder_layer", "times": "n_encoder_layers"}},
                "norm",
                *after,
            ],
            "decoder": [
                {"embed": {"from": "target", "tie": "tok"}},
                *after,
                {"repeat": {"block": "decoder_layer", "times": "n_decoder_layers"}},
                "norm",
                *after,
                *([{"scale": "d_model ** -0.5"}] if scaled else []),
                {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
            ],
        },
        "weights": {"map": weights(gated)},
    }


def _activation(c: Config) -> tuple[str, bool]:
    """Return the activation, and whether it is gated: `feed_forward_proj` says both where nothing else does."""
    said = str(c.get("feed_forward_proj", "relu"))
    gated = c.truth("is_gated_act", said.startswith("gated-"))
    name = "gelu_new" if said == "gated-gelu" else said.removeprefix("gated-")
    name = str(c.get("dense_act_fn", name))
    known = GATED if gated else ACTIVATIONS
    if name not in known:
        raise Refused("R728", f"`feed_forward_proj` is `{said[:60]}`, which has no counterpart")
    return known[name], gated


def weights(gated: bool) -> Tree:
    """Return the entries of both streams."""
    also = [f"{side}.embed_tokens.weight" for side in ("encoder", "decoder")]
    found: Tree = {
        "encoder.tok.weight": {"from": "shared.weight", "also": also},
        "decoder.logits.weight": "lm_head.weight",
    }
    for side, last in (("encoder", 1), ("decoder", 2)):
        ours, theirs = f"{side}.{side}_layers.$i", f"{side}.block.$i.layer"
        own = "attention" if side == "encoder" else "attention_1"
        table = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        found[f"{side}.{side}_bias.weight"] = table
        found[f"{ours}.norm_1.weight"] = f"{theirs}.0.layer_norm.weight"
        found[f"{ours}.{own}.qkv.weight"] = each(f"{theirs}.0.SelfAttention", "q", "k", "v", end="weight")
        found[f"{ours}.{own}.out.weight"] = f"{theirs}.0.SelfAttention.o.weight"
        if side == "decoder":
            found[f"{ours}.norm_2.weight"] = f"{theirs}.1.layer_norm.weight"
            found[f"{ours}.attention_2.q.weight"] = f"{theirs}.1.EncDecAttention.q.weight"
            found[f"{ours}.attention_2.kv.weight"] = each(f"{theirs}.1.EncDecAttention", "k", "v", end="weight")
            found[f"{ours}.attention_2.out.weight"] = f"{theirs}.1.EncDecAttention.o.weight"
        inner = f"{theirs}.{last}.DenseReluDense"
        found[f"{ours}.norm_{last + 1}.weight"] = f"{theirs}.{last}.layer_norm.weight"
        found[f"{ours}.ffn.up.weight"] = each(inner, "wi_0", "wi_1", end="weight") if gated else f"{inner}.wi.weight"
        found[f"{ours}.ffn.down.weight"] = f"{inner}.wo.weight"
        found[f"{side}.norm.weight"] = f"{side}.final_layer_norm.weight"
    return found
