"""Masks of attention."""

MASKS = [
    "full",
    "causal",
    "{type: prefix, length: 2}",
    "{type: prefix, length: 3}",
    "{type: sliding, window: 3}",
    "{type: sliding, window: 4}",
    "{type: sliding, window: 3, causal: false}",
    "{type: sliding, window: 3, global: 1}",
    "{type: sliding, window: 3, global: 1, causal: false}",
    "{type: sliding, window: 3, global: 1, causal: false, global_projections: true}",
    "{type: chunked, size: 2}",
    "{type: chunked, size: 3}",
    "{type: chunked, size: 2, causal: false}",
    "{type: dilated, window: 2, step: 2}",
    "{type: dilated, window: 3, step: 2}",
    "{type: dilated, window: 2, step: 3}",
    "{type: dilated, window: 2, step: 2, causal: false}",
    *(
        f"{{type: block_sparse, block: 2{field}}}"
        for field in (
            "",
            ", local: 1",
            ", global: 2",
            ", random: 2",
            ", seed: 1",
            ", draw: false",
            ", full: 9",
            ", causal: true",
        )
    ),
    "{type: block_sparse, block: 3}",
]
GROUPS = {"masks": [f"attention: {{heads: 4, mask: {mask}}}" for mask in MASKS]}
