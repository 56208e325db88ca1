"""bloom: ALiBi, a norm behind the embedding, one matrix for queries, keys and values, head by head."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import PRE
from tfdsl.weights.recipes import LOGITS, TOKENS, Tree, dropout, head_by_head, start


def spec(c: Config) -> Tree:
    """Return the spec of a BLOOM."""
    c.inert("slow_but_exact", "seq_length", "offset_alibi", "skip_bias_add", "skip_bias_add_qkv", "unk_token_id")
    c.inert("attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion", "use_cache")
    width = c.whole("n_embed", c.whole("hidden_size", 64))
    left = dropout(c, dropout="hidden_dropout")
    after = [["norm", {"residual": ["attention"]}, "norm", {"residual": ["ffn"]}], PRE]
    attention = {"heads": "n_heads", "mask": "causal", "position": "alibi", "bias": True}
    tied = c.truth("tie_word_embeddings", True)
    return {
        "tfdsl": 1,
        "name": "bloom",
        "dims": {
            "vocab_size": c.whole("vocab_size", 250880),
            "n_layers": c.whole("n_layer", c.whole("num_hidden_layers", 2)),
            "d_model": width,
            "n_heads": c.whole("n_head", c.whole("num_attention_heads", 8)),
        },
        "inputs": TOKENS,
        "outputs": LOGITS,
        "defaults": {
            "norm": {"type": "layer", "eps": c.number("layer_norm_epsilon", 1e-5)},
            "attention": {**attention, **dropout(c, dropout="attention_dropout")},
            "ffn": {"hidden": "4 * d_model", "activation": "gelu_rounded", "bias": True},
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": after[0] if c.truth("apply_residual_connection_post_layernorm", False) else after[1]},
        "model": [
            {"embed": {"id": "tok", "from": "tokens", "width": "d_model"}},
            {"norm": {"id": "first"}},
            {"repeat": {"block": "layer", "times": "n_layers"}},
            {"norm": {"id": "last"}},
            {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
        ],
        **start(c),
        "weights": {
            "prefix": "transformer.",
            "map": {
                "tok.weight": "transformer.word_embeddings.weight",
                "first.*": "transformer.word_embeddings_layernorm.*",
                **head_by_head("transformer.h.$i", "self_attention"),
                "last.*": "transformer.ln_f.*",
                "logits.weight": "lm_head.weight",
            },
        },
    }
