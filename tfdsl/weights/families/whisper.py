"""whisper: sound through two convolutions into an encoder; a decoder that writes what was said; keys without a bias."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.recipes import ACTIVATIONS, Tree, dropout, towers


def spec(c: Config) -> Tree:
    """Return the spec of a Whisper."""
    c.inert("scale_embedding", "classifier_proj_size", "median_filter_width", "num_hidden_layers", "init_std")
    c.inert("encoder_layerdrop", "decoder_layerdrop", "apply_spec_augment", "use_weighted_layer_sum", "is_decoder")
    c.inert(*(f"mask_{axis}_{what}" for axis in ("time", "feature") for what in ("prob", "length", "min_masks")))
    c.inert("lang_ids", "alignment_heads", "max_length", "forced_decoder_ids", "no_timestamps_token_id")
    left = dropout(c, dropout="dropout")
    after = [{"dropout": share} for share in left.values()]
    activation = c.word("activation_function", ACTIVATIONS, "gelu")
    tied = c.truth("tie_word_embeddings", True)
    bias = {"q": True, "v": True, "out": True}
    return {
        "tfdsl": 1,
        "name": "whisper",
        "dims": {
            "vocab_size": c.whole("vocab_size", 51865),
            "n_mels": c.whole("num_mel_bins", 80),
            "n_audio": c.whole("max_source_positions", 1500),
            "context": c.whole("max_target_positions", 448),
            "d_model": c.whole("d_model", 384),
            "n_encoder_layers": c.whole("encoder_layers", 4),
            "encoder_heads": c.whole("encoder_attention_heads", 6),
            "encoder_hidden": c.whole("encoder_ffn_dim", 1536),
            "n_decoder_layers": c.whole("decoder_layers", 4),
            "decoder_heads": c.whole("decoder_attention_heads", 6),
            "decoder_hidden": c.whole("decoder_ffn_dim", 1536),
        },
        "inputs": {
            "sound": {"shape": ["B", "n_mels", "2 * n_audio"], "dtype": "float"},
            "target": {"shape": ["B", "T"], "vocab": "vocab_size"},
        },
        "outputs": {"logits": ["B", "T", "vocab_size"]},
        "defaults": {
            "norm": {"type": "layer", "eps": 1e-5},
            "attention": {"bias": bias, **dropout(c, dropout="attention_dropout")},
            "ffn": {"activation": activation, "bias": True, **dropout(c, dropout="activation_dropout")},
            **({"residual": left} if left else {}),
        },
        "blocks": {
            "encoder_layer": [
                {"residual": ["norm", {"attention": "encoder_heads"}]},
                {"residual": ["norm", {"ffn": "encoder_hidden"}]},
            ],
            "decoder_layer": [
                {"residual": ["norm", {"attention": {"heads": "decoder_heads", "mask": "causal"}}]},
                {"residual": ["norm", {"attention": {"heads": "decoder_heads", "kv": "encoder"}}]},
                {"residual": ["norm", {"ffn": "decoder_hidden"}]},
            ],
        },
        "model": {
            "encoder": [
                {"rearrange": {"from": "sound", "pattern": "b c t -> b t c"}},
                {"conv": {"kernel": 3, "width": "d_model", "padding": 1}},
                {"activation": "gelu"},
                {"conv": {"kernel": 3, "stride": 2, "padding": 1}},
                {"activation": "gelu"},
                {"position": {"type": "learned", "length": "n_audio"}},
                *after,
                {"repeat": {"block": "encoder_layer", "times": "n_encoder_layers"}},
                "norm",
            ],
            "decoder": [
                {"embed": {"id": "tok", "from": "target", "width": "d_model"}},
                {"position": {"type": "learned", "length": "context"}},
                *after,
                {"repeat": {"block": "decoder_layer", "times": "n_decoder_layers"}},
                "norm",
                {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
            ],
        },
        "weights": {
            "prefix": "model.",
            "map": {
                "encoder.conv_1.*": "model.encoder.conv1.*",
                "encoder.conv_2.*": "model.encoder.conv2.*",
                "encoder.position.weight": "model.encoder.embed_positions.weight",
                **towers(keys=False),
                "encoder.norm.*": "model.encoder.layer_norm.*",
                "decoder.tok.weight": "model.decoder.embed_tokens.weight",
                "decoder.position.weight": "model.decoder.embed_positions.weight",
                "decoder.norm.*": "model.decoder.layer_norm.*",
                "decoder.logits.weight": "proj_out.weight",
            },
        },
    }
