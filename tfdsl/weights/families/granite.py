"""granite: Llama with a number at the embedding, the scores, each branch and the logits."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import Manner, decoder
from tfdsl.weights.recipes import Tree


def spec(c: Config) -> Tree:
    """Return the spec of a Granite 3."""
    embedded, branch = c.number("embedding_multiplier", 1.0), c.number("residual_multiplier", 1.0)
    logits = c.number("logits_scaling", 1.0)
    manner = Manner(
        "granite",
        bias=c.truth("attention_bias", False),
        attention={"scale": c.number("attention_multiplier", 1.0)},
        ffn={"bias": True} if c.truth("mlp_bias", False) else {},
        embed={"scale": embedded} if embedded != 1 else {},
        residual={"scale": branch} if branch != 1 else {},
        after=[{"scale": {"id": "logits", "by": f"1 / {logits!r}"}}] if logits != 1 else [],
    )
    return decoder(c, manner)
