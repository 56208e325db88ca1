"""What attention does to queries, keys, values, scores, and to what the heads read."""


def _with(*fields: str, also: str = "") -> list[str]:
    return [f"attention: {{heads: 4, mask: causal{also}{', ' + field if field else ''}}}" for field in fields]


_EPS = ("eps: 0.1", "weight: false")
GROUPS = {
    "norms of attention": _with(
        "",
        *(f"qk_norm: {{type: rms{field}}}" for field in ("", ", over: each", ", over: all", ", offset: true")),
        *(f"qk_norm: {{type: rms, {field}}}" for field in _EPS),
        *(f"qk_norm: {{type: layer{field}}}" for field in ("", ", over: each", ", over: all", ", bias: false")),
        *(f"qk_norm: {{type: layer, {field}}}" for field in _EPS),
        "qk_norm: {type: layer, weight: false, bias: true}",
        "qk_norm: l2",
        *(f"qk_norm: {{type: l2, {field}}}" for field in ("over: all", "eps: 3", "weight: true")),
        "qk_norm: rms, v_norm: rms",
        "v_norm: rms",
        "v_norm: {type: rms, over: all}",
        "out_norm: rms",
        "out_norm: {type: rms, over: head}",
        "out_norm: {type: rms, over: each}",
    ),
    "norms and positions": _with("qk_norm: rms", "qk_norm: {type: rms, place: after}", also=", position: rope"),
    "scores": _with(
        "",
        "softcap: 2",
        "softcap: 3",
        "sinks: learned",
        "sinks: zero",
        "softcap: 2, sinks: learned",
        "softcap: 2, sinks: zero",
        "talking_heads: both",
        "talking_heads: before",
        "talking_heads: after",
        "talking_heads: {at: before, bias: true}",
        *(f"temperature: {{type: {kind}, length: 2, by: 0.5}}" for kind in ("steps", "log", "power")),
        "temperature: {length: 3, by: 0.5}",
        "temperature: {length: 2, by: 0.25}",
        "temperature: {length: 2, by: 0.5, shift: 0}",
    ),
    "mixed heads that see all": [
        f"attention: {{heads: 4, talking_heads: {{at: {at}, bias: {bias}}}}}"
        for at in ("before", "after", "both")
        for bias in ("false", "true")
    ],
    "sizes and clips": _with(
        "", "value_dim: 6", "values: keys", "clip_qkv: 0.5", "clip_qkv: 0.25", "qk_norm: rms, clip_qkv: 0.5"
    )
    + _with("qk_norm: rms, clip_qkv: {limit: 0.5, late: true}"),
    "gates": _with(
        "",
        *(f"gate: {kind}" for kind in ("sigmoid", "silu", "softplus", "tanh")),
        "gate: {per: head}",
        "gate: {bias: true}",
        "gate: {per: head, bias: true}",
    ),
    "pairs": _with(
        "",
        "differential: 0.5",
        "differential: 0.25",
        "differential: {init: 0.5, eps: 0.1}",
        "differential: {init: 0.5, weight: true}",
    ),
    "keys and values of others": [
        f"sum: [[attention: {{heads: 4, keep: one}}], [attention: {{heads: 4, {field}}}]]"
        for field in (
            "bias: false",
            "reuse: one",
            "keep: two",
            "reuse: one, qk_norm: rms",
            "value_residual: one",
            "value_residual: one, value_mix: {own: 0.25}",
            "value_residual: one, value_mix: {kept: 0.25}",
            "value_residual: one, value_mix: {learned: true}",
        )
    ],
}
