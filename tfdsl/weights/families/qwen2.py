"""qwen2: Llama with biases on queries, keys and values, and windows on the later layers where they are asked for."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import Manner, decoder
from tfdsl.weights.recipes import Tree, late_windows


def spec(c: Config) -> Tree:
    """Return the spec of a Qwen 2 or 2.5."""
    sight, dims = late_windows(c)
    return decoder(c, Manner("qwen2", bias={"q": True, "k": True, "v": True}, masks=sight, dims=dims))
