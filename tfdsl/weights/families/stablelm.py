"""stablelm: layer norms, a part of each head turned, perhaps both branches of one norm."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import NORMS, PARALLEL, PRE, Manner, decoder
from tfdsl.weights.recipes import Tree


def spec(c: Config) -> Tree:
    """Return the spec of a StableLM."""
    c.only("qk_layernorm", False)
    parallel = c.truth("use_parallel_residual", False)
    left = c.number("hidden_dropout", 0.0)
    manner = Manner(
        "stablelm",
        bias={"q": True, "k": True, "v": True} if c.truth("use_qkv_bias", False) else False,
        norm={"type": "layer", "eps": c.number("layer_norm_eps", 1e-5)},
        layer=PARALLEL if parallel else PRE,
        norms={"layers.$i.norm.*": NORMS["layers.$i.norm_1.*"]} if parallel else NORMS,
        residual={"dropout": left} if left else {},
        fraction=0.25,
    )
    return decoder(c, manner)
