"""qwen3: Llama with a norm on each head's queries and keys."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import QK_NORMS, Manner, decoder, qk_norm
from tfdsl.weights.recipes import Tree, late_windows


def spec(c: Config) -> Tree:
    """Return the spec of a Qwen 3."""
    sight, dims = late_windows(c)
    bias = c.truth("attention_bias", False)
    return decoder(c, Manner("qwen3", bias=bias, attention=qk_norm(c), more=QK_NORMS, masks=sight, dims=dims))
