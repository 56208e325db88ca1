"""olmo2: norms behind each branch alone, and one on all queries and keys together."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import OWN, QK_NORMS, Manner, decoder, qk_norm
from tfdsl.weights.recipes import Tree


def spec(c: Config) -> Tree:
    """Return the spec of an OLMo 2."""
    manner = Manner(
        "olmo2",
        bias=c.truth("attention_bias", False),
        attention=qk_norm(c, 1e-5, over="all"),
        layer=[{"residual": ["attention", "norm"]}, {"residual": ["ffn", "norm"]}],
        norms={
            "layers.$i.norm_1.weight": f"{OWN}.post_attention_layernorm.weight",
            "layers.$i.norm_2.weight": f"{OWN}.post_feedforward_layernorm.weight",
        },
        more=QK_NORMS,
        eps=1e-5,
    )
    return decoder(c, manner)
