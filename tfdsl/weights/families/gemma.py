"""gemma: Llama with norms that scale by 1 + w, a scaled embedding and GEGLU."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import Manner, decoder
from tfdsl.weights.recipes import GATED, Tree


def spec(c: Config) -> Tree:
    """Return the spec of a Gemma."""
    c.only("use_bidirectional_attention", False)
    c.inert("hidden_activation")
    said = c.get("hidden_activation") or c.get("hidden_act", "gelu_pytorch_tanh")
    gated = {**GATED, "gelu": "geglu_tanh"}  # what older configs call `gelu` was always the approximation
    manner = Manner(
        "gemma",
        bias=c.truth("attention_bias", False),
        norm={"type": "rms", "offset": True, "eps": c.number("rms_norm_eps", 1e-6)},
        ffn={"activation": Config({"hidden_act": said}).word("hidden_act", gated)},
        embed={"scale": "sqrt(d_model)"},
        tied=True,
    )
    return decoder(c, manner)
