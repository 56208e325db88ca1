"""Methods of attention."""

METHODS = [
    "softmax",
    "linear",
    "{type: linear, feature: relu}",
    "{type: linear, feature: relu2}",
    "{type: linear, feature: exp}",
    "{type: linear, feature: sigmoid}",
    "{type: linear, feature: softplus}",
    "performer",
    "{type: performer, features: 32}",
    "{type: performer, seed: 1}",
    "{type: performer, kernel: relu}",
    "{type: performer, eps: 1e-6}",
    "{type: low_rank, rank: 4, length: 20}",
    "{type: low_rank, rank: 5, length: 20}",
    "{type: low_rank, rank: 4, length: 21}",
    "{type: low_rank, rank: 4, length: 20, share: none}",
    "{type: low_rank, rank: 4, length: 20, share: keys_values}",
    "{type: low_rank, rank: 4, length: 20, share: layers}",
]
LOW = "{type: low_rank, rank: 4, length: 20}"
GROUPS = {
    "methods": [
        *(f"attention: {{heads: 4, method: {method}}}" for method in METHODS),
        *(
            f"attention: {{heads: 4, method: {LOW}, {field}}}"
            for field in ("dropout: 0.2", "scale: 0.7", "kv_heads: 2")
        ),
        "attention: {heads: 4, method: performer, scale: 0.7}",
        "attention: {heads: 4, method: linear, mask: causal}",
        "attention: {heads: 4, method: {type: linear, chunk: 3}, mask: causal}",
    ]
}
