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
    "normalise": ["normalise", "normalise: 0.1"],
    "named joins": [
        *(f"{kind}: {{with: x, pipes: [[linear: 16]]}}" for kind in ("sum", "multiply", "concat")),
        "sum: {from: [x, x]}",
        "concat: {from: [x, x]}",
        "concat: {from: [x, x], axis: 1}",
    ],
}
