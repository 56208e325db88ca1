"""distilbert: BERT with half its layers and without segments."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.recipes import ACTIVATIONS, Tree, dropout, each, start


def spec(c: Config) -> Tree:
    """Return the spec of a DistilBERT, with its head for masked words where the checkpoint has one."""
    c.inert("sinusoidal_pos_embds", "qa_dropout", "seq_classif_dropout")
    activation = c.word("activation", ACTIVATIONS, "gelu")
    left, tied = dropout(c, dropout="dropout"), c.truth("tie_word_embeddings", True)
    headed = c.has("vocab_projector.bias")
    words = {"tie": "tok"} if tied else {"width": "vocab_size"}
    word = [
        {"linear": {"from": "encoder", "width": "d_model", "bias": True}},
        {"activation": activation},
        "norm",
        {"unembed": {"id": "logits", "bias": True, **words}},
    ]
    return {
        "tfdsl": 1,
        "name": "distilbert",
        "dims": {
            "vocab_size": c.whole("vocab_size", 30522),
            "context": c.whole("max_position_embeddings", 512),
            "n_layers": c.whole("n_layers", 6),
            "d_model": c.whole("dim", 768),
            "n_heads": c.whole("n_heads", 12),
            "d_ff": c.whole("hidden_dim", 3072),
        },
        "inputs": {"tokens": {"shape": ["B", "T"], "vocab": "vocab_size", "pad": c.whole("pad_token_id", 0)}},
        "outputs": {"logits": ["B", "T", "vocab_size"]} if headed else {"encoder": ["B", "T", "d_model"]},
        "defaults": {
            "norm": {"type": "layer", "eps": 1e-12},
            "attention": {"heads": "n_heads", "bias": True, **dropout(c, dropout="attention_dropout")},
            "ffn": {"hidden": "d_ff", "activation": activation, "bias": True},
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": [{"residual": ["attention"]}, "norm", {"residual": ["ffn"]}, "norm"]},
        "model": {
            "encoder": [
                {"embed": {"id": "tok", "from": "tokens", "width": "d_model"}},
                {"position": {"type": "learned", "length": "context"}},
                "norm",
                *({"dropout": share} for share in left.values()),
                {"repeat": {"block": "layer", "times": "n_layers"}},
            ],
            **({"word": word} if headed else {}),
        },
        **start(c),
        "weights": {"prefix": "distilbert.", "map": {**encoder(), **(HEAD if headed else {})}},
    }


HEAD: Tree = {
    "word.linear.*": "vocab_transform.*",
    "word.norm.*": "vocab_layer_norm.*",
    "word.logits.weight": "vocab_projector.weight",
    "word.logits.bias": "vocab_projector.bias",
}


def encoder() -> Tree:
    """Return the entries of the embeddings and of the layers."""
    given, layer = "distilbert.embeddings", "distilbert.transformer.layer.$i"
    return {
        "encoder.tok.weight": f"{given}.word_embeddings.weight",
        "encoder.position.weight": f"{given}.position_embeddings.weight",
        "encoder.norm.*": f"{given}.LayerNorm.*",
        "encoder.layers.$i.attention.qkv.*": each(f"{layer}.attention", "q_lin", "k_lin", "v_lin"),
        "encoder.layers.$i.attention.out.*": f"{layer}.attention.out_lin.*",
        "encoder.layers.$i.norm_1.*": f"{layer}.sa_layer_norm.*",
        "encoder.layers.$i.ffn.up.*": f"{layer}.ffn.lin1.*",
        "encoder.layers.$i.ffn.down.*": f"{layer}.ffn.lin2.*",
        "encoder.layers.$i.norm_2.*": f"{layer}.output_layer_norm.*",
    }
