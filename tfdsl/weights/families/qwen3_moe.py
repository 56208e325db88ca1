"""qwen3_moe: Qwen 3 with mixtures of experts in its layers, or in some of them."""

from __future__ import annotations

from tfdsl.weights.config import Config, Refused
from tfdsl.weights.decoders import OWN, QK_NORMS, Manner, decoder, qk_norm
from tfdsl.weights.recipes import GATED, Tree, experts


def spec(c: Config) -> Tree:
    """Return the spec of a Qwen 3 with experts."""
    bias = c.truth("attention_bias", False)
    layers = c.whole("num_hidden_layers", 24)
    window = c.limit("sliding_window", 4096) if c.truth("use_sliding_window", False) else None
    c.inert("max_window_layers", "sliding_window")
    fields = {
        "experts": "n_experts",
        "top_k": c.whole("num_experts_per_tok", 8),
        "hidden": "d_expert",
        "activation": c.word("hidden_act", GATED, "silu"),
        **({} if c.truth("norm_topk_prob", False) else {"renormalise": False}),
    }
    manner = Manner(
        "qwen3_moe",
        bias=bias,
        attention=qk_norm(c),
        more=QK_NORMS,
        mixture=fields,
        sparse=sparse(c, layers),
        experts=experts(f"{OWN}.mlp", "gate_proj", "up_proj", "down_proj"),
        masks=[{"type": "sliding", "window": "window"} if window else "causal"] * layers,
        dims={
            "d_expert": c.whole("moe_intermediate_size", 768),
            "n_experts": c.whole("num_local_experts", c.whole("num_experts", 128)),
            **({"window": window} if window else {}),
        },
    )
    return decoder(c, manner)


def sparse(c: Config, layers: int) -> list[bool]:
    """Return which layers have experts."""
    dense, step = c.get("mlp_only_layers", []), c.whole("decoder_sparse_step", 1)
    if not isinstance(dense, list) or not step:
        raise Refused("R728", "`mlp_only_layers` is not a list of layers")
    return [layer not in dense and (layer + 1) % step == 0 for layer in range(layers)]
