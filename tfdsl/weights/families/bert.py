"""bert: an encoder of words and segments with norms after each branch; a head for masked words, and one for pairs."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.recipes import ACTIVATIONS, Tree, dropout, each, start


def spec(c: Config) -> Tree:
    """Return the spec of a BERT, with the heads that the checkpoint has."""
    c.only("is_decoder", False)
    c.only("add_cross_attention", False)
    c.only("position_embedding_type", "absolute")
    c.inert("classifier_dropout", "gradient_checkpointing")
    activation = c.word("hidden_act", ACTIVATIONS, "gelu")
    left = dropout(c, dropout="hidden_dropout_prob")
    vocab = c.whole("vocab_size", 30522)
    tied = c.truth("tie_word_embeddings", True)
    model, outputs, weights = heads(c, activation, tied)
    prior = list(left.values())
    return {
        "tfdsl": 1,
        "name": "bert",
        "dims": {
            "vocab_size": vocab,
            "context": c.whole("max_position_embeddings", 512),
            "n_segments": c.whole("type_vocab_size", 2),
            "n_layers": c.whole("num_hidden_layers", 12),
            "d_model": c.whole("hidden_size", 768),
            "n_heads": c.whole("num_attention_heads", 12),
            "d_ff": c.whole("intermediate_size", 3072),
        },
        "inputs": {
            "tokens": {"shape": ["B", "T"], "vocab": "vocab_size", "pad": c.whole("pad_token_id", 0)},
            "segments": {"shape": ["B", "T"], "vocab": "n_segments"},
        },
        "outputs": outputs,
        "defaults": {
            "norm": {"type": "layer", "eps": c.number("layer_norm_eps", 1e-12)},
            "attention": {"heads": "n_heads", "bias": True, **dropout(c, dropout="attention_probs_dropout_prob")},
            "ffn": {"hidden": "d_ff", "activation": activation, "bias": True},
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": [{"residual": ["attention"]}, "norm", {"residual": ["ffn"]}, "norm"]},
        "model": {
            "encoder": [
                {
                    "sum": [
                        [{"embed": {"id": "tok", "from": "tokens", "width": "d_model"}}],
                        [{"embed": {"from": "segments", "width": "d_model"}}],
                    ]
                },
                {"position": {"type": "learned", "length": "context"}},
                "norm",
                *({"dropout": each} for each in prior),
                {"repeat": {"block": "layer", "times": "n_layers"}},
            ],
            **model,
        },
        **start(c),
        "weights": {"prefix": "bert.", "ignore": ["*.position_ids"], "map": {**encoder(c), **weights}},
    }


def heads(c: Config, activation: str, tied: bool) -> tuple[Tree, Tree, Tree]:
    """Return the streams, the outputs and the weights of the heads that the checkpoint has."""
    model: Tree = {}
    outputs: Tree = {}
    weights: Tree = {}
    inner = "cls.predictions"
    if c.has(f"{inner}.bias"):
        model["word"] = [
            {"linear": {"from": "encoder", "width": "d_model", "bias": True}},
            {"activation": activation},
            "norm",
            {"unembed": {"id": "logits", "bias": True, **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
        ]
        outputs["logits"] = ["B", "T", "vocab_size"]
        weights |= {
            "word.linear.*": f"{inner}.transform.dense.*",
            **norm(c, "word.norm", f"{inner}.transform.LayerNorm"),
            "word.logits.weight": f"{inner}.decoder.weight",
            "word.logits.bias": {"from": f"{inner}.bias", "also": f"{inner}.decoder.bias"},
        }
    if c.has("pooler.dense.weight"):
        model["sentence"] = [
            {"pool": {"from": "encoder", "type": "first"}},
            {"linear": {"width": "d_model", "bias": True}},
            {"activation": {"id": "pooled", "type": "tanh"}},
        ]
        outputs["pooled"] = ["B", "d_model"]
        weights["sentence.linear.*"] = "bert.pooler.dense.*"
    if c.has("cls.seq_relationship.weight"):
        model["next"] = [{"linear": {"id": "follows", "from": "pooled", "width": 2, "bias": True}}]
        outputs["follows"] = ["B", 2]
        weights["next.follows.*"] = "cls.seq_relationship.*"
    if not model:
        outputs["encoder"] = ["B", "T", "d_model"]
    return model, outputs, weights


def encoder(c: Config) -> Tree:
    """Return the entries of the embeddings and of the layers."""
    given, layer = "bert.embeddings", "bert.encoder.layer.$i"
    return {
        "encoder.tok.weight": f"{given}.word_embeddings.weight",
        "encoder.embed.weight": f"{given}.token_type_embeddings.weight",
        "encoder.position.weight": f"{given}.position_embeddings.weight",
        **norm(c, "encoder.norm", f"{given}.LayerNorm"),
        "encoder.layers.$i.attention.qkv.*": each(f"{layer}.attention.self", "query", "key", "value"),
        "encoder.layers.$i.attention.out.*": f"{layer}.attention.output.dense.*",
        **norm(c, "encoder.layers.$i.norm_1", f"{layer}.attention.output.LayerNorm"),
        "encoder.layers.$i.ffn.up.*": f"{layer}.intermediate.dense.*",
        "encoder.layers.$i.ffn.down.*": f"{layer}.output.dense.*",
        **norm(c, "encoder.layers.$i.norm_2", f"{layer}.output.LayerNorm"),
    }


def norm(c: Config, ours: str, theirs: str) -> Tree:
    """Return the entries of a norm, whose vectors the oldest checkpoints call gamma and beta."""
    if c.has("LayerNorm.gamma"):
        return {f"{ours}.weight": f"{theirs}.gamma", f"{ours}.bias": f"{theirs}.beta"}
    return {f"{ours}.*": f"{theirs}.*"}
