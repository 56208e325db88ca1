"""gpt_neox: both branches side by side, each with its norm; a part of each head turned; one matrix, head by head."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import PRE
from tfdsl.weights.recipes import ACTIVATIONS, LOGITS, TOKENS, Tree, dropout, head_by_head, rope, start


def spec(c: Config) -> Tree:
    """Return the spec of a GPT-NeoX or a Pythia."""
    c.inert("classifier_dropout", "is_decoder", "max_position_embeddings")
    parallel = c.truth("use_parallel_residual", True)
    bias = c.truth("attention_bias", True)
    position = rope(c, c.number("rotary_emb_base", 10000.0), c.number("rotary_pct", 0.25))
    left = dropout(c, dropout="hidden_dropout")
    both = [{"residual": [{"sum": [["norm", "attention"], ["norm", "ffn"]]}]}]
    tied = c.truth("tie_word_embeddings", False)
    attention = {"heads": "n_heads", "mask": "causal", "position": position, "bias": bias}
    return {
        "tfdsl": 1,
        "name": "gpt_neox",
        "dims": {
            "vocab_size": c.whole("vocab_size"),
            "n_layers": c.whole("num_hidden_layers"),
            "d_model": c.whole("hidden_size"),
            "n_heads": c.whole("num_attention_heads"),
            "d_ff": c.whole("intermediate_size"),
        },
        "inputs": TOKENS,
        "outputs": LOGITS,
        "defaults": {
            "norm": {"type": "layer", "eps": c.number("layer_norm_eps", 1e-5)},
            "attention": {**attention, **dropout(c, dropout="attention_dropout")},
            "ffn": {"hidden": "d_ff", "activation": c.word("hidden_act", ACTIVATIONS, "gelu"), "bias": True},
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": both if parallel else PRE},
        "model": [
            {"embed": {"id": "tok", "from": "tokens", "width": "d_model"}},
            *({"dropout": share} for share in left.values()),
            {"repeat": {"block": "layer", "times": "n_layers"}},
            "norm",
            {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
        ],
        **start(c),
        "weights": {
            "ignore": ["*.rotary_emb.inv_freq", "*.attention.bias", "*.attention.masked_bias"],
            "map": {
                "tok.weight": "gpt_neox.embed_in.weight",
                **head_by_head("gpt_neox.layers.$i", "attention", bias),
                "norm.*": "gpt_neox.final_layer_norm.*",
                "logits.weight": "embed_out.weight",
            },
        },
    }
