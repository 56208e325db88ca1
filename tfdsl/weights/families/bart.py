"""bart: an encoder and a decoder with norms after each branch, learned positions, one embedding for all."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.recipes import ACTIVATIONS, Tree, dropout, towers


def spec(c: Config) -> Tree:
    """Return the spec of a BART."""
    c.inert(
        "classifier_dropout", "classif_dropout", "is_decoder", "num_hidden_layers", "init_std", "normalize_embedding"
    )
    c.inert("encoder_layerdrop", "decoder_layerdrop", "extra_pos_embeddings", "force_bos_token_to_be_generated")
    c.only("normalize_before", False)
    c.only("add_final_layer_norm", False)
    c.only("add_bias_logits", False)
    c.only("static_position_embeddings", False)
    scaled = {"scale": "sqrt(d_model)"} if c.truth("scale_embedding", False) else {}
    left = dropout(c, dropout="dropout")
    after = [{"dropout": share} for share in left.values()]
    place = {"position": {"type": "learned", "length": "context", "offset": 2}}
    c.only("tie_word_embeddings", True)
    feed = {"activation": c.word("activation_function", ACTIVATIONS, "gelu"), "bias": True}
    feed |= dropout(c, dropout="activation_dropout")
    first = "encoder_heads", "encoder_hidden"
    second = "decoder_heads", "decoder_hidden"
    return {
        "tfdsl": 1,
        "name": "bart",
        "dims": {
            "vocab_size": c.whole("vocab_size", 50265),
            "context": c.whole("max_position_embeddings", 1024),
            "d_model": c.whole("d_model", 1024),
            "n_encoder_layers": c.whole("encoder_layers", 12),
            "encoder_heads": c.whole("encoder_attention_heads", 16),
            "encoder_hidden": c.whole("encoder_ffn_dim", 4096),
            "n_decoder_layers": c.whole("decoder_layers", 12),
            "decoder_heads": c.whole("decoder_attention_heads", 16),
            "decoder_hidden": c.whole("decoder_ffn_dim", 4096),
        },
        "inputs": {
            "source": {"shape": ["B", "S"], "vocab": "vocab_size", "pad": c.whole("pad_token_id", 1)},
            "target": {"shape": ["B", "T"], "vocab": "vocab_size"},
        },
        "outputs": {"logits": ["B", "T", "vocab_size"]},
        "defaults": {
            "norm": {"type": "layer", "eps": 1e-5},
            "attention": {"bias": True, **dropout(c, dropout="attention_dropout")},
            "ffn": feed,
            **({"residual": left} if left else {}),
        },
        "blocks": {
            "encoder_layer": [
                {"residual": [{"attention": first[0]}]},
                "norm",
                {"residual": [{"ffn": first[1]}]},
                "norm",
            ],
            "decoder_layer": [
                {"residual": [{"attention": {"heads": second[0], "mask": "causal"}}]},
                "norm",
                {"residual": [{"attention": {"heads": second[0], "kv": "encoder"}}]},
                "norm",
                {"residual": [{"ffn": second[1]}]},
                "norm",
            ],
        },
        "model": {
            "encoder": [
                {"embed": {"id": "tok", "from": "source", "width": "d_model", **scaled}},
                place,
                "norm",
                *after,
                {"repeat": {"block": "encoder_layer", "times": "n_encoder_layers"}},
            ],
            "decoder": [
                {"embed": {"from": "target", "tie": "tok", **scaled}},
                place,
                "norm",
                *after,
                {"repeat": {"block": "decoder_layer", "times": "n_decoder_layers"}},
                {"unembed": {"id": "logits", "tie": "tok"}},
            ],
        },
        "weights": {
            "prefix": "model.",
            "zeros": "final_logits_bias",
            "map": {
                "encoder.tok.weight": {
                    "from": "model.shared.weight",
                    "also": ["model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"],
                },
                "encoder.norm.*": "model.encoder.layernorm_embedding.*",
                "decoder.norm.*": "model.decoder.layernorm_embedding.*",
                "encoder.position.weight": "model.encoder.embed_positions.weight",
                "decoder.position.weight": "model.decoder.embed_positions.weight",
                **towers(keys=True),
                "decoder.logits.weight": "lm_head.weight",
            },
        },
    }
