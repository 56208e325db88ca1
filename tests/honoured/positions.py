"""Positions: in attention, and added to features."""

SHORT = "short: [1, 1], long: [2, 3], length: 8"
YARN = "{type: yarn, factor: 4, length: 8"
SCALINGS = [
    "{type: linear, factor: 2}",
    "{type: linear, factor: 3}",
    "{type: dynamic, factor: 2, length: 4}",
    "{type: dynamic, factor: 3, length: 4}",
    "{type: dynamic, factor: 2, length: 3}",
    YARN + "}",
    YARN.replace("factor: 4", "factor: 5") + "}",
    YARN.replace("length: 8", "length: 9") + "}",
    YARN + ", beta_fast: 3}",
    YARN + ", beta_slow: 0.5}",
    YARN + ", truncate: false}",
    YARN + ", attention_factor: 1.5}",
    YARN + ", mscale: 0.5, mscale_all_dim: 0.7}",
    YARN + ", mscale: 0.6, mscale_all_dim: 0.7}",
    YARN + ", mscale: 0.5, mscale_all_dim: 0.8}",
    "{type: llama3, factor: 4, length: 8}",
    "{type: llama3, factor: 5, length: 8}",
    "{type: llama3, factor: 4, length: 9}",
    "{type: llama3, factor: 4, length: 8, low: 0.5}",
    "{type: llama3, factor: 4, length: 8, high: 5}",
    f"{{type: longrope, {SHORT}, factor: 2}}",
    f"{{type: longrope, {SHORT}, factor: 3}}",
    f"{{type: longrope, {SHORT}, attention_factor: 1.5}}",
    f"{{type: longrope, {SHORT.replace('[1, 1]', '[1, 2]')}, factor: 2}}",
    f"{{type: longrope, {SHORT.replace('[2, 3]', '[2, 4]')}, factor: 2}}",
    f"{{type: longrope, {SHORT.replace('length: 8', 'length: 9')}, factor: 2}}",
    "proportional",
    "{type: proportional, factor: 2}",
]
ROPE = [
    "rope",
    "{type: rope, theta: 7}",
    "{type: rope, style: interleaved}",
    "{type: rope, fraction: 0.5}",
    "{type: rope, fraction: 0.5, scaling: proportional}",
    "{type: rope, dim: 2, style: interleaved}",
    "{type: rope, dim: 2, end: true}",
    "{type: rope, reverse: true}",
    *(f"{{type: rope, scaling: {scaling}}}" for scaling in SCALINGS),
]
RELATIVE = [
    "none",
    "t5",
    "{type: t5, share: tab}",
    "{type: t5, buckets: 8}",
    "{type: t5, max_distance: 40}",
    "alibi",
    "{type: alibi, steepest: 4}",
    "{type: alibi, scaled: true}",
    "kerple",
    "{type: kerple, form: power}",
    "{type: kerple, share: tab}",
    "shaw",
    "{type: shaw, max_distance: 3}",
    "{type: shaw, ahead: 1}",
    "{type: shaw, both: true}",
    "{type: shaw, values: true}",
    "{type: shaw, values: true, both: true}",
    "transformer_xl",
    "{type: transformer_xl, style: interleaved}",
    "deberta",
    "{type: deberta, max_distance: 9}",
    "{type: deberta, buckets: 8}",
    "{type: deberta, terms: content_to_position}",
    "{type: deberta, terms: position_to_content}",
    "{type: deberta, project: own}",
    "{type: deberta, project: own, key_bias: true}",
    "{type: deberta, project: own, query_bias: true}",
    "{type: deberta, norm: 0.1}",
    "{type: deberta, share: tab}",
]
PATCHES = (
    "sum: {{from: i, pipes: [[patch: {{size: {size}, width: 16}}{cls}, "
    "attention: {{heads: 4, position: {position}}}]]}}"
)
GROUPS = {
    "rope": [f"attention: {{heads: 4, position: {position}}}" for position in ROPE],
    "relative": [f"attention: {{heads: 4, position: {position}}}" for position in RELATIVE],
    "grid": [
        PATCHES.format(size=2, cls="", position="{type: grid, axes: [4, 4]}"),
        PATCHES.format(size=2, cls="", position="{type: grid, axes: [2, 8]}"),
        PATCHES.format(size=2, cls="", position="{type: grid, axes: [4, 4], share: tab}"),
        PATCHES.format(size=2, cls=", prepend: 1", position="{type: grid, axes: [4, 4]}"),
    ],
    "axial rope": [
        PATCHES.format(size=2, cls="", position=f"{{type: axial_rope, axes: {position}}}")
        for position in (
            "[4, 4]",
            "[2, 8]",
            "[4, 4], theta: 100",
            "[4, 4], style: interleaved",
            "[4, 4], rates: dealt",
            "[4, 4], rates: centred",
            "[4, 4], first: 1",
            "[4, 4], columns_first: true",
        )
    ],
}
ADDED = [
    "{type: learned, length: 9}",
    "{type: learned, length: 10}",
    "{type: learned, length: 10, offset: 2}",
    "{type: learned, length: 10, padding: skipped}",
    "{type: learned, length: 10, offset: 2, padding: skipped}",
    "sinusoidal",
    "{type: sinusoidal, theta: 5}",
    "{type: sinusoidal, style: concatenated}",
    "{type: sinusoidal, style: cosines_first}",
    "{type: sinusoidal, inclusive: true}",
    "{type: sinusoidal, offset: 2}",
    "{type: sinusoidal, scale: 0.5}",
    "{type: sinusoidal, padding: skipped}",
    "{type: sinusoidal, padding: skipped, offset: 2}",
]
SQUARES = [
    "{type: learned, axes: [4, 4]}",
    "{type: learned, axes: [2, 8]}",
    "{type: sinusoidal, axes: [4, 4]}",
    "{type: sinusoidal, axes: [2, 8]}",
    "{type: sinusoidal, axes: [4, 4], rows_first: true}",
    "{type: sinusoidal, axes: [4, 4], inclusive: true, scale: 2}",
]
EMBEDDED = "sum: {{from: t, pipes: [[embed: {{width: 16}}, position: {position}]]}}"
SQUARED = "sum: {{from: i, pipes: [[patch: {{size: 2, width: 16}}, position: {position}]]}}"
TWICE = "sum: {from: x, pipes: [[position: {type: learned, length: 9, id: one}], [position: {type: learned, length: 9"
GROUPS |= {
    "added": [EMBEDDED.format(position=position) for position in ADDED],
    "squares": [SQUARED.format(position=position) for position in SQUARES],
    "tied positions": [TWICE + "}]]}", TWICE + ", tie: one}]]}"],
}
