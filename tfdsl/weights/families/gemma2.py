"""gemma2: norms on both sides of each branch, capped scores and logits, a window in every other layer."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import SANDWICH, SANDWICHED, Manner, decoder
from tfdsl.weights.recipes import GATED, Tree, masks


def spec(c: Config) -> Tree:
    """Return the spec of a Gemma 2."""
    c.only("use_bidirectional_attention", False)
    c.inert("hidden_act")
    layers, window = c.whole("num_hidden_layers", 26), c.limit("sliding_window", 4096)
    types = ["full_attention" if layer % 2 else "sliding_attention" for layer in range(layers)]
    cap, last = c.number("attn_logit_softcapping", None), c.number("final_logit_softcapping", None)
    manner = Manner(
        "gemma2",
        bias=c.truth("attention_bias", False),
        attention={
            "scale": f"{c.number('query_pre_attn_scalar', 256)!r} ** -0.5",
            **({"softcap": cap} if cap else {}),
        },
        norm={"type": "rms", "offset": True, "eps": c.number("rms_norm_eps", 1e-6)},
        ffn={"activation": c.word("hidden_activation", GATED, "gelu_pytorch_tanh")},
        layer=SANDWICH,
        norms=SANDWICHED,
        embed={"scale": "sqrt(d_model)"},
        after=[{"softcap": {"id": "logits", "cap": last}}] if last else [],
        masks=masks(c, layers, types, window),
        dims={"window": window} if window else {},
        tied=True,
    )
    return decoder(c, manner)
