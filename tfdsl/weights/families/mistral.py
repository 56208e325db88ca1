"""mistral: Llama with attention that sees a window."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import Manner, decoder
from tfdsl.weights.recipes import Tree, masks


def spec(c: Config) -> Tree:
    """Return the spec of a Mistral."""
    window = c.limit("sliding_window", 4096)
    layers = c.whole("num_hidden_layers", 32)
    sight = masks(c, layers, ["sliding_attention"] * layers, window)
    return decoder(c, Manner("mistral", masks=sight, dims={"window": window} if window else {}))
