"""llama: rotary positions, RMS norms before each branch, grouped queries, a gated feed-forward."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import Manner, decoder
from tfdsl.weights.recipes import Tree


def spec(c: Config) -> Tree:
    """Return the spec of a Llama."""
    ffn = {"bias": True} if c.truth("mlp_bias", False) else {}
    return decoder(c, Manner("llama", bias=c.truth("attention_bias", False), ffn=ffn))
