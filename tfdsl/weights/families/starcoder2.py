"""starcoder2: layer norms and biases everywhere, a plain feed-forward layer, a window."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import OWN, Manner, decoder
from tfdsl.weights.recipes import Tree, dropout, masks


def spec(c: Config) -> Tree:
    """Return the spec of a StarCoder 2."""
    window, layers = c.limit("sliding_window", None), c.whole("num_hidden_layers", 30)
    bias = c.truth("use_bias", True)
    manner = Manner(
        "starcoder2",
        bias=bias,
        norm={"type": "layer", "eps": c.number("norm_epsilon", 1e-5)},
        ffn={"bias": True} if bias else {},
        gated=False,
        feed={"layers.$i.ffn.up.*": f"{OWN}.mlp.c_fc.*", "layers.$i.ffn.down.*": f"{OWN}.mlp.c_proj.*"},
        masks=masks(c, layers, ["sliding_attention"] * layers, window),
        dims={"window": window} if window else {},
        residual=dropout(c, dropout="residual_dropout"),
        embedded=dropout(c, dropout="embedding_dropout"),
        tied=True,
    )
    return decoder(c, manner)
