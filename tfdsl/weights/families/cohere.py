"""cohere: attention and feed-forward from one norm without a shift, neighbours turned, scaled logits."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import NORMS, PARALLEL, Manner, decoder
from tfdsl.weights.recipes import Tree, rope


def spec(c: Config) -> Tree:
    """Return the spec of a Command R."""
    c.only("use_qk_norm", False)
    scale = c.number("logit_scale", 0.0625)
    manner = Manner(
        "cohere",
        bias=c.truth("attention_bias", False),
        position=rope(c, style="interleaved"),
        norm={"type": "layer", "eps": c.number("layer_norm_eps", 1e-5), "bias": False},
        layer=PARALLEL,
        norms={"layers.$i.norm.*": NORMS["layers.$i.norm_1.*"]},
        after=[{"scale": {"id": "logits", "by": scale}}],
        tied=True,
    )
    return decoder(c, manner)
