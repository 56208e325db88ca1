"""A figure built by hand that has what the six architectures have not: pipes side by side, nested and joined."""

from __future__ import annotations

from tfdsl.look import Box, Branch, Column, Figure, Fork, Group, Source

PARALLEL = Figure(
    "parallel",
    "attention and feed-forward side by side · nested residual · concat · three pipes",
    (("B", "batch"), ("T", "sequence")),
    (
        Column(
            "model",
            (
                Source("x", "x", "B × T × 64"),
                Group(
                    "block",
                    "× 2",
                    "block",
                    (
                        Branch(
                            "outer",
                            (
                                Box("n", "norm", "LayerNorm", corner="1.5K"),
                                Fork(
                                    "sum",
                                    (
                                        (Box("att", "attention", "Attention", "4 heads"),),
                                        (Box("ffn", "ffn", "Feed-forward", "64 → 256 → 64"),),
                                    ),
                                ),
                                Branch("inner", (Box("lin", "linear", "Linear"),), facts="× 0.5"),
                            ),
                        ),
                    ),
                ),
                Fork(
                    "cat",
                    (
                        (Box("one", "linear", "One"), Box("act", "plain", "GELU")),
                        (),
                        (Box("two", "linear", "Two", shape="B × T × 32"),),
                    ),
                    "concat",
                    "B × T × 160",
                ),
                Fork("gate", ((Box("g", "ffn", "Gate"),), (Box("u", "ffn", "Up"),)), "×", "B × T × 256"),
                Box("soft", "softmax", "Softmax", "over the last axis"),
                Box("drop", "mask", "Dropout"),
            ),
            (("cat", "middle", "B × T × 160"), ("drop", "y", "B × T × 256")),
        ),
    ),
)
