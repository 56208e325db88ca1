"""albert: BERT with a narrow embedding and one set of weights for all layers."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.recipes import ACTIVATIONS, Tree, dropout, each, start


def spec(c: Config) -> Tree:
    """Return the spec of an ALBERT, with the heads that the checkpoint has."""
    c.inert("classifier_dropout_prob", "net_structure_type", "num_memory_blocks", "gap_size", "down_scale_factor")
    c.only("position_embedding_type", "absolute")
    c.only("num_hidden_groups", 1)
    c.only("inner_group_num", 1)
    activation = c.word("hidden_act", ACTIVATIONS, "gelu_new")
    left = dropout(c, dropout="hidden_dropout_prob")
    model, outputs, weights = heads(c, activation, c.truth("tie_word_embeddings", True))
    return {
        "tfdsl": 1,
        "name": "albert",
        "dims": {
            "vocab_size": c.whole("vocab_size", 30000),
            "context": c.whole("max_position_embeddings", 512),
            "n_segments": c.whole("type_vocab_size", 2),
            "n_layers": c.whole("num_hidden_layers", 12),
            "d_embed": c.whole("embedding_size", 128),
            "d_model": c.whole("hidden_size", 4096),
            "n_heads": c.whole("num_attention_heads", 64),
            "d_ff": c.whole("intermediate_size", 16384),
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
                        [{"embed": {"id": "tok", "from": "tokens", "width": "d_embed"}}],
                        [{"embed": {"from": "segments", "width": "d_embed"}}],
                    ]
                },
                {"position": {"type": "learned", "length": "context"}},
                "norm",
                *({"dropout": share} for share in left.values()),
                {"linear": {"id": "wide", "width": "d_model", "bias": True}},
                {"repeat": {"block": "layer", "times": "n_layers", "share": True}},
            ],
            **model,
        },
        **start(c),
        "weights": {"prefix": "albert.", "ignore": ["*.position_ids"], "map": {**encoder(), **weights}},
    }


def heads(c: Config, activation: str, tied: bool) -> tuple[Tree, Tree, Tree]:
    """Return the streams, the outputs and the weights of the heads that the checkpoint has."""
    model: Tree = {}
    outputs: Tree = {}
    weights: Tree = {}
    if c.has("predictions.bias"):
        model["word"] = [
            {"linear": {"from": "encoder", "width": "d_embed", "bias": True}},
            {"activation": activation},
            "norm",
            {"unembed": {"id": "logits", "bias": True, **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
        ]
        outputs["logits"] = ["B", "T", "vocab_size"]
        weights |= {
            "word.linear.*": "predictions.dense.*",
            "word.norm.*": "predictions.LayerNorm.*",
            "word.logits.weight": "predictions.decoder.weight",
            "word.logits.bias": {"from": "predictions.bias", "also": "predictions.decoder.bias"},
        }
    if c.has("pooler.weight"):
        model["sentence"] = [
            {"pool": {"from": "encoder", "type": "first"}},
            {"linear": {"width": "d_model", "bias": True}},
            {"activation": {"id": "pooled", "type": "tanh"}},
        ]
        outputs["pooled"] = ["B", "d_model"]
        weights["sentence.linear.*"] = "albert.pooler.*"
    if c.has("sop_classifier.classifier.weight"):
        model["order"] = [{"linear": {"id": "follows", "from": "pooled", "width": 2, "bias": True}}]
        outputs["follows"] = ["B", 2]
        weights["order.follows.*"] = "sop_classifier.classifier.*"
    if not model:
        outputs["encoder"] = ["B", "T", "d_model"]
    return model, outputs, weights


def encoder() -> Tree:
    """Return the entries of the embeddings and of the layer."""
    given, layer = "albert.embeddings", "albert.encoder.albert_layer_groups.0.albert_layers.0"
    return {
        "encoder.tok.weight": f"{given}.word_embeddings.weight",
        "encoder.embed.weight": f"{given}.token_type_embeddings.weight",
        "encoder.position.weight": f"{given}.position_embeddings.weight",
        "encoder.norm.*": f"{given}.LayerNorm.*",
        "encoder.wide.*": "albert.encoder.embedding_hidden_mapping_in.*",
        "encoder.layers.attention.qkv.*": each(f"{layer}.attention", "query", "key", "value"),
        "encoder.layers.attention.out.*": f"{layer}.attention.dense.*",
        "encoder.layers.norm_1.*": f"{layer}.attention.LayerNorm.*",
        "encoder.layers.ffn.up.*": f"{layer}.ffn.*",
        "encoder.layers.ffn.down.*": f"{layer}.ffn_output.*",
        "encoder.layers.norm_2.*": f"{layer}.full_layer_layer_norm.*",
    }
