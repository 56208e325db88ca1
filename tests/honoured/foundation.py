"""The kinds of the foundation."""

ATTENTION = [
    "kv_heads: 2",
    "head_dim: 8",
    "mask: causal",
    "mask: {type: sliding, window: 3}",
    "qk_norm: rms",
    "qk_norm: layer",
    "scale: 0.7",
    "bias: true",
    "bias: {q: true}",
    "bias: {k: true}",
    "bias: {v: true}",
    "bias: {out: true}",
    "dropout: 0.2",
]
POSITIONS = [
    "rope",
    "{type: rope, theta: 7}",
    "{type: rope, style: interleaved}",
    "t5",
    "{type: t5, share: tab}",
    "{type: t5, buckets: 8}",
    "{type: t5, max_distance: 40}",
]
MOE = "moe: {experts: 4, top_k: 2, hidden: 8"
EMBED, PATCH = "embed: {from: t, width: 8", "patch: {from: i, size: 4, width: 8"
GROUPS = {
    "norm": ["norm", "norm: {eps: 0.1}", "norm: {bias: false}", "norm: rms", "norm: {type: rms, eps: 0.1}"],
    "attention": [
        "attention: 4",
        "attention: 2",
        "attention: {heads: 4, mask: {type: sliding, window: 3, causal: false}}",
        *(f"attention: {{heads: 4, {field}}}" for field in ATTENTION),
        *(f"attention: {{heads: 4, position: {position}}}" for position in POSITIONS),
    ],
    "cross": ["attention: {heads: 4, kv: x}", *(f"attention: {{heads: 4, kv: x, {field}}}" for field in ATTENTION)],
    "ffn": [
        "ffn: 8",
        "ffn: 9",
        *(
            f"ffn: {{hidden: 8, {field}}}"
            for field in ("activation: relu", "activation: swiglu", "bias: true", "dropout: 0.2")
        ),
    ],
    "moe": [
        MOE + "}",
        MOE.replace("4", "5") + "}",
        MOE.replace("2", "1") + "}",
        MOE.replace("8", "9") + "}",
        MOE + ", activation: swiglu}",
    ],
    "position": [
        "position: {type: learned, length: 9}",
        "position: {type: learned, length: 10}",
        "position: sinusoidal",
        "position: {type: sinusoidal, theta: 5}",
        "position: {type: sinusoidal, style: concatenated}",
    ],
    "prepend": ["prepend: 1", "prepend: 2"],
    "pool": ["pool: first", "pool: last", "pool: mean", "pool: max"],
    "linear": ["linear: 8", "linear: 9", "linear: {width: 8, bias: true}"],
    "scale": ["scale: 2", "scale: 3", "scale: {by: 2, add: 1}"],
    "dropout": ["dropout: 0.1", "dropout: 0.2"],
    "activation": [f"activation: {name}" for name in ("relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid", "relu2")],
    "residual": [
        "residual: [norm]",
        *(f"residual: {{body: [norm], {field}}}" for field in ("dropout: 0.2", "scale: 0.5", "from: x")),
    ],
    "repeat": [
        "repeat: {body: [norm], times: 2}",
        *(
            f"repeat: {{times: 2, {field}}}"
            for field in ("block: l", "block: k", "block: l, share: true", "block: l, from: x")
        ),
    ],
    "use": ["use: l", "use: k", "use: {block: l, w: 8}", "use: {block: l, from: x}"],
    "joins": [f"{kind}: [[norm], [linear: 16]]" for kind in ("sum", "multiply", "concat")]
    + ["sum: {pipes: [[norm], [linear: 16]], from: x}"],
    "embed": [EMBED + "}", EMBED.replace("8", "9") + "}", EMBED + ", scale: 3}"],
    "patch": [
        PATCH + "}",
        PATCH.replace("4", "2") + "}",
        PATCH.replace("width: 8", "width: 9") + "}",
        PATCH + ", bias: false}",
    ],
}
