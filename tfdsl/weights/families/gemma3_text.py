"""gemma3_text: Gemma 2 with normed queries and keys in place of caps, and an angle of its own for windowed layers."""

from __future__ import annotations

from tfdsl.weights.config import Config, Refused
from tfdsl.weights.decoders import QK_NORMS, SANDWICH, SANDWICHED, Manner, decoder, qk_norm
from tfdsl.weights.recipes import GATED, Tree, rope


def spec(c: Config) -> Tree:
    """Return the spec of the text part of a Gemma 3."""
    c.only("use_bidirectional_attention", False)
    c.inert("hidden_act", "cache_implementation")
    layers, window = c.whole("num_hidden_layers", 26), c.limit("sliding_window", 4096)
    types = _types(c, layers)
    local, far = _positions(c)
    cap, last = c.number("attn_logit_softcapping", None), c.number("final_logit_softcapping", None)
    near = {"type": "sliding", "window": "window"} if window else "causal"
    manner = Manner(
        "gemma3_text",
        bias=c.truth("attention_bias", False),
        attention={
            **qk_norm(c, offset=True),
            "scale": f"{c.number('query_pre_attn_scalar', 256)!r} ** -0.5",
            **({"softcap": cap} if cap else {}),
        },
        position=far,
        norm={"type": "rms", "offset": True, "eps": c.number("rms_norm_eps", 1e-6)},
        ffn={"activation": c.word("hidden_activation", GATED, "gelu_pytorch_tanh")},
        layer=SANDWICH,
        norms=SANDWICHED,
        more=QK_NORMS,
        embed={"scale": "sqrt(d_model)"},
        after=[{"softcap": {"id": "logits", "cap": last}}] if last else [],
        masks=[near if each else "causal" for each in types],
        positions=[local if each else far for each in types],
        dims={"window": window} if window and any(types) else {},
        tied=True,
    )
    return decoder(c, manner)


def _types(c: Config, layers: int) -> list[bool]:
    """Return which layers have a window."""
    pattern = c.whole("sliding_window_pattern", c.whole("_sliding_window_pattern", 6)) or 6
    said = c.words("layer_types", {"full_attention": False, "sliding_attention": True}, layers)
    return said if said is not None else [(layer + 1) % pattern != 0 for layer in range(layers)]


def _positions(c: Config) -> tuple[Tree, Tree]:
    """Return the positions of layers with a window, and of the others."""
    inner = c.inner("rope_parameters").values
    if isinstance(inner.get("sliding_attention"), dict):
        c.inert("rope_local_base_freq")
        return rope(c, layer_type="sliding_attention"), rope(c, layer_type="full_attention")
    if inner:
        raise Refused("R728", "`rope_parameters` is not said for each type of layer")
    return {"type": "rope", "theta": c.number("rope_local_base_freq", 10000.0)}, rope(c, 1e6)
