"""mpt: ALiBi, norms without a shift, no biases, one matrix for queries, keys and values."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import PRE
from tfdsl.weights.recipes import LOGITS, TOKENS, Tree, dropout, start


def spec(c: Config) -> Tree:
    """Return the spec of an MPT."""
    inner = c.inner("attn_config")
    inner.inert("attn_impl", "attn_type", "model_type", "attn_uses_sequence_id")
    inner.only("qk_ln", False)
    inner.only("prefix_lm", False)
    inner.only("alibi", True)
    inner.only("alibi_bias_max", 8)
    c.only("no_bias", True)
    c.only("expansion_ratio", 4)
    c.only("embedding_fraction", 1, 1.0)
    c.inert(
        "max_seq_len", "learned_pos_emb", "init_device", "norm_type", "logit_scale", "verbose", "fc_type", "tie_weights"
    )
    clip, scale = inner.number("clip_qkv", None), inner.number("softmax_scale", None)
    attention = {
        "heads": "n_heads",
        "mask": "causal",
        "position": "alibi",
        **({"clip_qkv": clip} if clip else {}),
        **({"scale": scale} if scale else {}),
        **dropout(inner, dropout="attn_pdrop"),
    }
    c.refused += inner.finish("attn_config.")
    left, embedded = dropout(c, dropout="resid_pdrop"), dropout(c, dropout="emb_pdrop")
    tied = c.truth("tie_word_embeddings", True)
    layer = "transformer.blocks.$i"
    return {
        "tfdsl": 1,
        "name": "mpt",
        "dims": {
            "vocab_size": c.whole("vocab_size", 50368),
            "n_layers": c.whole("n_layers", 24),
            "d_model": c.whole("d_model", 2048),
            "n_heads": c.whole("n_heads", 16),
        },
        "inputs": TOKENS,
        "outputs": LOGITS,
        "defaults": {
            "norm": {"type": "layer", "eps": c.number("layer_norm_epsilon", 1e-5), "bias": False},
            "attention": attention,
            "ffn": {"hidden": "4 * d_model", "activation": "gelu"},
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": PRE},
        "model": [
            {"embed": {"id": "tok", "from": "tokens", "width": "d_model"}},
            *({"dropout": share} for share in embedded.values()),
            {"repeat": {"block": "layer", "times": "n_layers"}},
            "norm",
            {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
        ],
        **start(c),
        "weights": {
            "prefix": "transformer.",
            "map": {
                "tok.weight": "transformer.wte.weight",
                "layers.$i.norm_1.weight": f"{layer}.norm_1.weight",
                "layers.$i.attention.qkv.weight": f"{layer}.attn.Wqkv.weight",
                "layers.$i.attention.out.weight": f"{layer}.attn.out_proj.weight",
                "layers.$i.norm_2.weight": f"{layer}.norm_2.weight",
                "layers.$i.ffn.up.weight": f"{layer}.ffn.up_proj.weight",
                "layers.$i.ffn.down.weight": f"{layer}.ffn.down_proj.weight",
                "norm.weight": "transformer.norm_f.weight",
                "logits.weight": "lm_head.weight",
            },
        },
    }
