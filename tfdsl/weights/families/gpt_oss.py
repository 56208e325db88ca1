"""gpt_oss: sinks, a window in every other layer, experts whose gates are clamped and alternate with what they gate."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import INNER, OWN, Manner, decoder
from tfdsl.weights.recipes import Tree, masks, rope


def spec(c: Config) -> Tree:
    """Return the spec of a gpt-oss."""
    c.only("hidden_act", "silu")
    c.inert("initial_context_length", "experts_per_token")
    layers, window = c.whole("num_hidden_layers", 36), c.limit("sliding_window", 128)
    types = ["full_attention" if layer % 2 else "sliding_attention" for layer in range(layers)]
    inner = f"{OWN}.mlp"
    fields = {
        "experts": "n_experts",
        "top_k": c.whole("num_experts_per_tok", 4),
        "hidden": "d_expert",
        "activation": "clamped_swiglu",
        "alpha": c.number("swiglu_alpha", 1.702),
        "limit": c.number("swiglu_limit", 7.0),
        "bias": True,
        "router_bias": True,
    }
    manner = Manner(
        "gpt_oss",
        bias=c.truth("attention_bias", True),
        attention={"sinks": "learned"},
        position=rope(c, 150000.0),
        more={"layers.$i.attention.sink": f"{INNER}.sinks"},
        mixture=fields,
        sparse=[True] * layers,
        experts={
            "layers.$i.moe.router.*": f"{inner}.router.*",
            "layers.$i.moe.up": turned(f"{inner}.experts.gate_up_proj", "e w (f two) -> e (two f) w"),
            "layers.$i.moe.up_bias": turned(f"{inner}.experts.gate_up_proj_bias", "e (f two) -> e (two f)"),
            "layers.$i.moe.down": {"from": f"{inner}.experts.down_proj", "transpose": True},
            "layers.$i.moe.down_bias": f"{inner}.experts.down_proj_bias",
        },
        masks=masks(c, layers, types, window),
        dims={
            "d_expert": c.whole("intermediate_size", 2880),
            "n_experts": c.whole("num_local_experts", 128),
            **({"window": window} if window else {}),
        },
        eps=1e-5,
    )
    return decoder(c, manner)


def turned(name: str, pattern: str) -> Tree:
    """Return an entry that puts gates before what they gate."""
    return {"from": name, "rearrange": pattern, "sizes": {"two": 2}}
