"""opt: learned positions behind two rows that are not used, biases everywhere, ReLU."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import PRE
from tfdsl.weights.recipes import ACTIVATIONS, LOGITS, TOKENS, Tree, dropout, each


def spec(c: Config) -> Tree:
    """Return the spec of an OPT."""
    width = c.whole("hidden_size", 768)
    c.only("word_embed_proj_dim", width)
    c.only("_remove_final_layer_norm", False)
    c.only("layer_norm_elementwise_affine", True)
    c.inert("layerdrop", "init_std", "activation_dropout")
    first, bias = c.truth("do_layer_norm_before", True), c.truth("enable_bias", True)
    after = [{"residual": ["attention"]}, "norm", {"residual": ["ffn"]}, "norm"]
    left = dropout(c, dropout="dropout")
    tied = c.truth("tie_word_embeddings", True)
    layer = "model.decoder.layers.$i"
    return {
        "tfdsl": 1,
        "name": "opt",
        "dims": {
            "vocab_size": c.whole("vocab_size", 50272),
            "context": c.whole("max_position_embeddings", 2048),
            "n_layers": c.whole("num_hidden_layers", 12),
            "d_model": width,
            "n_heads": c.whole("num_attention_heads", 12),
            "d_ff": c.whole("ffn_dim", 3072),
        },
        "inputs": TOKENS,
        "outputs": LOGITS,
        "defaults": {
            "norm": {"type": "layer", "eps": 1e-5},
            "attention": {
                "heads": "n_heads",
                "mask": "causal",
                "bias": bias,
                **dropout(c, dropout="attention_dropout"),
            },
            "ffn": {"hidden": "d_ff", "activation": c.word("activation_function", ACTIVATIONS, "relu"), "bias": bias},
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": PRE if first else after},
        "model": [
            {"embed": {"id": "tok", "from": "tokens", "width": "d_model"}},
            {"position": {"type": "learned", "length": "context", "offset": 2}},
            {"repeat": {"block": "layer", "times": "n_layers"}},
            *(["norm"] if first else []),
            {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
        ],
        "weights": {
            "prefix": "model.",
            "map": {
                "tok.weight": "model.decoder.embed_tokens.weight",
                "position.weight": "model.decoder.embed_positions.weight",
                "layers.$i.norm_1.*": f"{layer}.self_attn_layer_norm.*",
                "layers.$i.attention.qkv.*": each(f"{layer}.self_attn", "q_proj", "k_proj", "v_proj"),
                "layers.$i.attention.out.*": f"{layer}.self_attn.out_proj.*",
                "layers.$i.norm_2.*": f"{layer}.final_layer_norm.*",
                "layers.$i.ffn.up.*": f"{layer}.fc1.*",
                "layers.$i.ffn.down.*": f"{layer}.fc2.*",
                **({"norm.*": "model.decoder.final_layer_norm.*"} if first else {}),
                "logits.weight": "lm_head.weight",
            },
        },
    }
