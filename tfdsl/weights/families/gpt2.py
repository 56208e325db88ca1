"""gpt2: learned positions, pre-norm, one matrix for queries, keys and values, stored input by input."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.recipes import ACTIVATIONS, LOGITS, TOKENS, Tree, dropout, start


def spec(c: Config) -> Tree:
    """Return the spec of a GPT-2."""
    width, heads = c.whole("n_embd", 768), c.whole("n_head", 12)
    c.only("add_cross_attention", False)
    c.inert("n_ctx", "reorder_and_upcast_attn")
    c.inert(*(f"summary_{name}" for name in ("activation", "first_dropout", "proj_to_labels", "type", "use_proj")))
    tied = c.truth("tie_word_embeddings", True)
    attention = {"heads": "n_heads", "mask": "causal", "bias": True, **dropout(c, dropout="attn_pdrop")}
    embedded = dropout(c, dropout="embd_pdrop")
    left = dropout(c, dropout="resid_pdrop")
    scale, own = _scale(c)
    layer = [{"residual": ["norm", own]}, {"residual": ["norm", "ffn"]}]
    times: Tree = {"block": "layer", "times": "n_layers", **({"vary": {"scale": scale}} if own != "attention" else {})}
    if own == "attention" and scale:
        attention["scale"] = scale
    return {
        "tfdsl": 1,
        "name": "gpt2",
        "dims": {
            "vocab_size": c.whole("vocab_size", 50257),
            "context": c.whole("n_positions", 1024),
            "n_layers": c.whole("n_layer", 12),
            "d_model": width,
            "n_heads": heads,
            "d_ff": c.whole("n_inner", 4 * width),
        },
        "inputs": TOKENS,
        "outputs": LOGITS,
        "defaults": {
            "norm": {"type": "layer", "eps": c.number("layer_norm_epsilon", 1e-5)},
            "attention": attention,
            "ffn": {
                "hidden": "d_ff",
                "activation": c.word("activation_function", ACTIVATIONS, "gelu_new"),
                "bias": True,
            },
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": {"params": {"scale": 1}, "body": layer} if own != "attention" else layer},
        "model": [
            {"embed": {"id": "tok", "from": "tokens", "width": "d_model"}},
            {"position": {"type": "learned", "length": "context"}},
            *({"dropout": each} for each in embedded.values()),
            {"repeat": times},
            "norm",
            {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
        ],
        **start(c),
        "weights": {
            "prefix": "transformer.",
            "ignore": ["*.attn.bias", "*.attn.masked_bias"],
            "map": {
                "tok.weight": "transformer.wte.weight",
                "position.weight": "transformer.wpe.weight",
                "layers.$i.norm_1.*": "transformer.h.$i.ln_1.*",
                "layers.$i.attention.qkv.*": {"from": "transformer.h.$i.attn.c_attn.*", "transpose": True},
                "layers.$i.attention.out.*": {"from": "transformer.h.$i.attn.c_proj.*", "transpose": True},
                "layers.$i.norm_2.*": "transformer.h.$i.ln_2.*",
                "layers.$i.ffn.up.*": {"from": "transformer.h.$i.mlp.c_fc.*", "transpose": True},
                "layers.$i.ffn.down.*": {"from": "transformer.h.$i.mlp.c_proj.*", "transpose": True},
                "norm.*": "transformer.ln_f.*",
                "logits.weight": "lm_head.weight",
            },
        },
    }


def _scale(c: Config) -> tuple[object, object]:
    """Return the scale of scores where it is not 1 / √head_dim, and the attention, which differs by layer or not."""
    scaled = c.truth("scale_attn_weights", True)
    if c.truth("scale_attn_by_inverse_layer_idx", False):
        base = "1 / sqrt(d_model / n_heads)" if scaled else "1"
        return f"{base} / (layer + 1)", {"attention": {"scale": "$scale"}}
    return None if scaled else 1, "attention"
