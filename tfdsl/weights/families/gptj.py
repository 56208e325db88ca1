"""gptj: both branches from one norm, neighbours turned, attention without biases."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import PARALLEL
from tfdsl.weights.recipes import ACTIVATIONS, LOGITS, TOKENS, Tree, dropout, each, start


def spec(c: Config) -> Tree:
    """Return the spec of a GPT-J."""
    width = c.whole("n_embd", 4096)
    c.only("rotary", True)
    c.inert("n_positions", "n_ctx", "scale_attn_weights", "gradient_checkpointing")
    c.inert(*(f"summary_{name}" for name in ("activation", "first_dropout", "proj_to_labels", "type", "use_proj")))
    left, embedded = dropout(c, dropout="resid_pdrop"), dropout(c, dropout="embd_pdrop")
    tied = c.truth("tie_word_embeddings", False)
    turned = {"type": "rope", "style": "interleaved", "dim": c.whole("rotary_dim", 64)}
    layer = "transformer.h.$i"
    return {
        "tfdsl": 1,
        "name": "gptj",
        "dims": {
            "vocab_size": c.whole("vocab_size", 50400),
            "n_layers": c.whole("n_layer", 28),
            "d_model": width,
            "n_heads": c.whole("n_head", 16),
            "d_ff": c.whole("n_inner", 4 * width),
        },
        "inputs": TOKENS,
        "outputs": LOGITS,
        "defaults": {
            "norm": {"type": "layer", "eps": c.number("layer_norm_epsilon", 1e-5)},
            "attention": {
                "heads": "n_heads",
                "mask": "causal",
                "position": turned,
                **dropout(c, dropout="attn_pdrop"),
            },
            "ffn": {
                "hidden": "d_ff",
                "activation": c.word("activation_function", ACTIVATIONS, "gelu_new"),
                "bias": True,
            },
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": PARALLEL},
        "model": [
            {"embed": {"id": "tok", "from": "tokens", "width": "d_model"}},
            *({"dropout": share} for share in embedded.values()),
            {"repeat": {"block": "layer", "times": "n_layers"}},
            "norm",
            {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"}), "bias": True}},
        ],
        **start(c),
        "weights": {
            "prefix": "transformer.",
            "ignore": ["*.attn.bias", "*.attn.masked_bias", "*.embed_positions"],
            "map": {
                "tok.weight": "transformer.wte.weight",
                "layers.$i.norm.*": f"{layer}.ln_1.*",
                "layers.$i.attention.qkv.*": each(f"{layer}.attn", "q_proj", "k_proj", "v_proj"),
                "layers.$i.attention.out.*": f"{layer}.attn.out_proj.*",
                "layers.$i.ffn.up.*": f"{layer}.mlp.fc_in.*",
                "layers.$i.ffn.down.*": f"{layer}.mlp.fc_out.*",
                "norm.*": "transformer.ln_f.*",
                "logits.*": "lm_head.*",
            },
        },
    }
