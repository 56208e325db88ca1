"""vit: an image as a row of squares behind a class token; the token's features decide the class."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.recipes import ACTIVATIONS, Tree, dropout, each, start


def spec(c: Config) -> Tree:
    """Return the spec of a ViT, with its classes where the checkpoint has them."""
    c.inert("encoder_stride", "pooler_act", "pooler_output_size")
    left = dropout(c, dropout="hidden_dropout_prob")
    classes = c.has("classifier.weight")
    layer = "vit.encoder.layer.$i"
    bias = c.truth("qkv_bias", True)
    return {
        "tfdsl": 1,
        "name": "vit",
        "dims": {
            "image": c.whole("image_size", 224),
            "patch": c.whole("patch_size", 16),
            **({"classes": c.labels()} if classes else {}),
            "n_layers": c.whole("num_hidden_layers", 12),
            "d_model": c.whole("hidden_size", 768),
            "n_heads": c.whole("num_attention_heads", 12),
            "d_ff": c.whole("intermediate_size", 3072),
        },
        "inputs": {"pixels": {"shape": ["B", c.whole("num_channels", 3), "image", "image"], "dtype": "float"}},
        "outputs": {"logits": ["B", "classes"]}
        if classes
        else {"features": ["B", "(image / patch) ** 2 + 1", "d_model"]},
        "defaults": {
            "norm": {"type": "layer", "eps": c.number("layer_norm_eps", 1e-12)},
            "attention": {
                "heads": "n_heads",
                "bias": bias or {"q": False, "k": False, "v": False, "out": True},
                **dropout(c, dropout="attention_probs_dropout_prob"),
            },
            "ffn": {"hidden": "d_ff", "activation": c.word("hidden_act", ACTIVATIONS, "gelu"), "bias": True},
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": [{"residual": ["norm", "attention"]}, {"residual": ["norm", "ffn"]}]},
        "model": [
            {"patch": {"from": "pixels", "size": "patch", "width": "d_model"}},
            {"prepend": {"id": "cls", "tokens": 1}},
            {"position": "learned"},
            *({"dropout": probability} for probability in left.values()),
            {"repeat": {"block": "layer", "times": "n_layers"}},
            *(
                ["norm", {"pool": "first"}, {"linear": {"id": "logits", "width": "classes", "bias": True}}]
                if classes
                else []
            ),
            *([] if classes else [{"norm": {"id": "features"}}]),
        ],
        **start(c),
        "weights": {
            "prefix": "vit.",
            **({} if classes else {"ignore": ["pooler.*"]}),
            "map": {
                "cls.weight": {"from": "vit.embeddings.cls_token", "rearrange": "1 n d -> n d"},
                "position.weight": {"from": "vit.embeddings.position_embeddings", "rearrange": "1 n d -> n d"},
                "patch.*": "vit.embeddings.patch_embeddings.projection.*",
                "layers.$i.norm_1.*": f"{layer}.layernorm_before.*",
                "layers.$i.attention.qkv.*": each(f"{layer}.attention.attention", "query", "key", "value"),
                "layers.$i.attention.out.*": f"{layer}.attention.output.dense.*",
                "layers.$i.norm_2.*": f"{layer}.layernorm_after.*",
                "layers.$i.ffn.up.*": f"{layer}.intermediate.dense.*",
                "layers.$i.ffn.down.*": f"{layer}.output.dense.*",
                **(
                    {"norm.*": "vit.layernorm.*", "logits.*": "classifier.*"}
                    if classes
                    else {"features.*": "vit.layernorm.*"}
                ),
            },
        },
    }
