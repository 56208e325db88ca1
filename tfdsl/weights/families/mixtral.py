"""mixtral: Mistral whose feed-forward layers are mixtures of experts."""

from __future__ import annotations

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import OWN, Manner, decoder
from tfdsl.weights.recipes import GATED, Tree, experts, masks


def spec(c: Config) -> Tree:
    """Return the spec of a Mixtral."""
    window = c.limit("sliding_window", None)
    layers = c.whole("num_hidden_layers", 32)
    c.inert("router_jitter_noise")
    fields = {"experts": "n_experts", "top_k": c.whole("num_experts_per_tok", 2), "hidden": "d_expert"}
    manner = Manner(
        "mixtral",
        mixture={**fields, "activation": c.word("hidden_act", GATED, "silu")},
        sparse=[True] * layers,
        experts=experts(f"{OWN}.block_sparse_moe", "w1", "w3", "w2"),
        masks=masks(c, layers, ["sliding_attention"] * layers, window),
        dims={
            "d_expert": c.whole("intermediate_size", 14336),
            "n_experts": c.whole("num_local_experts", 8),
            **({"window": window} if window else {}),
        },
        eps=1e-5,
        theta=1e6,
    )
    return decoder(c, manner)
