"""llama: rotary positions, RMS norms before each branch, grouped queries, a gated feed-forward."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.recipes import Tree, decoder


def spec(c: Config) -> Tree:
    """Return the spec of a Llama."""
    bias = c.truth("attention_bias", False)
    return decoder(c, "llama", bias=bias, ffn_bias=c.truth("mlp_bias", False))
