"""Latent attention, short convolutions and the recurrent mixers."""

LATENT = "latent_attention: {heads: 4, kv_rank: 8, head_dim: 6, rope_dim: 4"
CONV, DELTA = "short_conv: {size: 3", "gated_delta: {heads: 4, key_dim: 6"
MAMBA2, MAMBA = "mamba2: {heads: 4, head_dim: 6, state: 5", "mamba: {inner: 24, state: 5, rank: 3"


def each(base: str, *fields: str) -> list[str]:
    """Return a node without and with each of these fields."""
    return [base + "}", *(f"{base}, {field}}}" for field in fields)]


GROUPS = {
    "latent_attention": [
        LATENT.replace("heads: 4", "heads: 2") + "}",
        LATENT.replace("kv_rank: 8", "kv_rank: 9") + "}",
        LATENT.replace("head_dim: 6", "head_dim: 5") + "}",
        LATENT.replace("rope_dim: 4", "rope_dim: 2") + "}",
        *each(
            LATENT,
            "q_rank: 5",
            "value_dim: 7",
            "mask: full",
            "position: none",
            "position: {type: rope, theta: 7}",
            "position: {type: rope, style: interleaved}",
            "position: {type: rope, scaling: {type: linear, factor: 2}}",
            "position: {type: rope, scaling: {type: yarn, factor: 4, length: 8}}",
            "position: {type: rope, scaling: {type: yarn, factor: 4, length: 8, mscale: 1, mscale_all_dim: 1}}",
            "position: {type: rope, scaling: {type: dynamic, factor: 4, length: 8}}",
            "scale: 0.7",
            "latent_scale: 1.5",
            "bias: true",
            "eps: 0.1",
            "dropout: 0.2",
        ),
    ],
    "short_conv": [
        "short_conv: 2",
        *each(CONV, "gated: false", "gated: false, conv_bias: true", "bias: true", "conv_bias: true"),
    ],
    "mamba2": [
        MAMBA2.replace("heads: 4", "heads: 2") + "}",
        MAMBA2.replace("head_dim: 6", "head_dim: 5") + "}",
        MAMBA2.replace("state: 5", "state: 6") + "}",
        *each(
            MAMBA2,
            "groups: 2",
            "size: 3",
            "norm: before",
            "norm: none",
            "norm_groups: 2",
            "eps: 0.1",
            "dt_min: 0.1",
            "dt_max: 0.2",
            "bias: true",
            "conv_bias: false",
            "multipliers: [1, 2, 3, 4, 5]",
            "chunk: 2",
        ),
    ],
    "mamba": [
        MAMBA.replace("inner: 24", "inner: 25") + "}",
        MAMBA.replace("state: 5", "state: 6") + "}",
        MAMBA.replace("rank: 3", "rank: 2") + "}",
        *each(MAMBA, "size: 3", "norm: rms", "norm: plain", "norm: rms, eps: 0.1", "bias: true", "conv_bias: false"),
    ],
    "gated_delta": [
        DELTA.replace("heads: 4", "heads: 2") + "}",
        DELTA.replace("key_dim: 6", "key_dim: 5") + "}",
        *each(
            DELTA,
            "key_heads: 2",
            "value_dim: 7",
            "size: 3",
            "conv_bias: true",
            "negative: true",
            "eps: 0.1",
            "chunk: 2",
        ),
    ],
}
