"""The primitives, inputs and heads."""

SLICE, SOFTMAX = "slice: {from: x, ", "softmax: {from: x, "
GROUPS = {
    "rearrange": [
        "rearrange: b t d -> b d t",
        "rearrange: {pattern: b t (h d) -> b h t d, sizes: {h: 2}}",
        "rearrange: {pattern: b t (h d) -> b h t d, sizes: {h: 4}}",
    ],
    "reduce": [
        "reduce: b t d -> b d",
        *(f"reduce: {{pattern: b t d -> b d, by: {by}}}" for by in ("sum", "max", "min")),
        "reduce: {pattern: b t (h d) -> b t d, sizes: {h: 2}}",
    ],
    "einsum": [
        "einsum: {from: [x, x], pattern: 'b t d, b s d -> b t s'}",
        "einsum: {pattern: 'b t d, b s d -> b t s', with: x}",
        "einsum: {from: [x, x], pattern: 'b t d, b t d -> b t'}",
    ],
    "softmax": [SOFTMAX + "axis: -1}", SOFTMAX + "axis: 1}"]
    + [SOFTMAX + f"mask: {mask}}}" for mask in ("causal", "{type: sliding, window: 3}", "{type: sliding, window: 2}")]
    + [SOFTMAX + "mask: {type: sliding, window: 3, causal: false}}"],
    "mask": [f"mask: {mask}" for mask in ("causal", "{hide: {type: sliding, window: 3}}")],
    "slice": [SLICE + f"{part}}}" for part in ("start: 1", "stop: 3", "start: 2", "at: 1", "at: 1, axis: 1")],
    "parameter": [
        "parameter: {shape: [3]}",
        "parameter: {shape: [4]}",
        "parameter: {shape: [3], init: 0.5}",
        "parameter: {shape: [3], init: zeros}",
        "parameter: {shape: [3], init: ones}",
        "parameter: {shape: [3], batch: x}",
    ],
    "softcap": ["softcap: 2", "softcap: 3"],
    "named joins": [
        *(f"{kind}: {{with: x, pipes: [[linear: 16]]}}" for kind in ("sum", "multiply", "concat")),
        "sum: {from: [x, x]}",
        "concat: {from: [x, x]}",
        "concat: {from: [x, x], axis: 1}",
    ],
    "pool types": [
        "pool: {type: attention, heads: 2}",
        "pool: {type: attention, heads: 4}",
        "pool: {type: attention, heads: 2, bias: true}",
        *(
            f"embed: {{from: t, width: 8}}\n  - pool: {{type: at, of: t, token: {token}}}"
            for token in (2, 3, "highest")
        ),
    ],
    "append": ["append: 1", "append: 2"],
    "prepend after": ["prepend: {tokens: 1, after: 1}", "prepend: {tokens: 1, after: 2}"],
    "conv": ["conv: 3", "conv: 5"]
    + [
        f"conv: {{kernel: 3, {field}}}"
        for field in ("width: 8", "padding: 0", "padding: causal", "dilation: 2", "groups: 2", "bias: false")
    ]
    + ["conv: {kernel: 3, padding: 1, stride: 2}"]
    + [f"conv: {{kernel: 3, padding: causal, {field}}}" for field in ("stride: 2", "dilation: 2", "groups: 2")],
    "shift": ["shift: 1", "shift: 2", "shift: -1"],
    "shift of tokens": [
        f"shift: {{from: t, by: {by}}}\n  - embed: 8" for by in ("1, fill: 3", "2, fill: 3", "1, fill: 4")
    ],
    "patch": [
        f"patch: {{from: i, size: 4, width: 8, {field}}}"
        for field in ("stride: 2", "stride: [2, 3]", "stride: 2, padding: 1", "bias: false")
    ]
    + [f"patch: {{from: i, size: 4, width: 9, groups: {groups}}}" for groups in (1, 3)]
    + ["patch: {from: i, size: [4, 2], width: 8}"],
}
