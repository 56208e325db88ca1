"""Figures built by hand: the six architectures of the language's contract, as their specs would have them drawn."""

from __future__ import annotations

from tests.diagram.parallel import PARALLEL
from tfdsl.look import Beside, Box, Branch, Column, Element, Figure, Fork, Group, Lane, Source


def norm(name: str, title: str = "LayerNorm", count: str = "1.5K") -> Box:
    return Box(name, "norm", title, corner=count)


def residual(name: str, *body: Element) -> Branch:
    return Branch(name, body)


GPT2 = Figure(
    "gpt2",
    "decoder-only · pre-norm · 124.4M parameters · embeddings 39.4M, blocks 85.1M",
    (("B", "batch"), ("T", "sequence ≤ 1024"), ("d_model", "768"), ("vocab_size", "50,257")),
    (
        Column(
            "model",
            (
                Source("tokens", "tokens", "B × T"),
                Box("tok", "embedding", "Token embedding", "vocab_size × d_model", "38.6M", "B × T × d_model"),
                Beside(
                    "position/add",
                    Box("position", "position", "Learned positions", "1024 × d_model", "786K"),
                    feed="positions 0 … T−1",
                ),
                Group(
                    "blocks",
                    "× 12",
                    "layer · 7.09M each",
                    (
                        residual(
                            "layer/1",
                            norm("layer/norm"),
                            Box(
                                "layer/attention",
                                "attention",
                                "Causal self-attention",
                                "12 heads × 64",
                                "2.36M",
                                tooltip="heads: 12\nmask: causal\nbias: true",
                            ),
                        ),
                        residual(
                            "layer/2",
                            norm("layer/norm_2"),
                            Box("layer/ffn", "ffn", "Feed-forward", "768 → 3072 → 768 · GELU", "4.72M"),
                        ),
                    ),
                ),
                norm("final"),
                Box("logits", "linear", "Unembedding", "d_model → vocab_size", "tied", "B × T × vocab_size"),
            ),
            (("logits", "logits", "B × T × vocab_size"),),
        ),
    ),
    (Lane("tie", "tok", "logits"),),
)


def _stack(prefix: str, axis: str, *extra: Element) -> tuple[Element, ...]:
    causal = prefix == "decoder"
    title = "Causal self-attention" if causal else "Self-attention"
    return (
        residual(f"{prefix}/r1", Box(f"{prefix}/attention", "attention", title, "8 heads × 64", "1.05M")),
        norm(f"{prefix}/n1", count="1.0K"),
        *extra,
        residual(f"{prefix}/r2", Box(f"{prefix}/ffn", "ffn", "Feed-forward", "512 → 2048 → 512 · ReLU", "2.10M")),
        norm(f"{prefix}/n2", count="1.0K"),
    )


def _embedding(name: str, axis: str, corner: str) -> tuple[Element, ...]:
    return (
        Box(name, "embedding", "Token embedding", "scaled √d_model", corner, f"B × {axis} × d_model"),
        Beside(f"{name}/add", Box(f"{name}/position", "position", "Sinusoidal positions", f"fixed · {axis} × d_model")),
    )


TRANSFORMER = Figure(
    "transformer",
    "encoder-decoder · post-norm · 63.1M parameters · one matrix shared 3 ways",
    (
        ("B", "batch"),
        ("S", "source length"),
        ("T", "target length"),
        ("d_model", "512"),
        ("vocab_size", "37,000"),
    ),
    (
        Column(
            "encoder",
            (
                Source("source", "source", "B × S"),
                *_embedding("tok", "S", "18.9M"),
                Group("encoder_layers", "× 6", "encoder_layer · 3.15M each", _stack("encoder", "S")),
            ),
        ),
        Column(
            "decoder",
            (
                Source("target", "target", "B × T"),
                *_embedding("embed", "T", "tied"),
                Group(
                    "decoder_layers",
                    "× 6",
                    "decoder_layer · 4.20M each",
                    _stack(
                        "decoder",
                        "T",
                        residual("decoder/r3", Box("cross", "attention", "Cross-attention", "8 heads × 64", "1.05M")),
                        norm("decoder/n3", count="1.0K"),
                    ),
                ),
                Box("logits", "linear", "Unembedding", "d_model → vocab_size", "tied", "B × T × vocab_size"),
            ),
            (("logits", "logits", "B × T × vocab_size"),),
        ),
    ),
    (
        Lane("memory", "encoder_layers", "cross", "K, V : B × S × d_model"),
        Lane("tie", "tok", "embed"),
        Lane("tie", "tok", "logits"),
    ),
)


BERT = Figure(
    "bert",
    "encoder with 2 heads · post-norm · 110.1M parameters",
    (("B", "batch"), ("T", "sequence ≤ 512"), ("d_model", "768"), ("vocab_size", "30,522")),
    (
        Column(
            "encoder",
            (
                Fork(
                    "sum",
                    (
                        (
                            Source("tokens", "tokens", "B × T"),
                            Box(
                                "tok",
                                "embedding",
                                "Token embedding",
                                "vocab_size × d_model",
                                "23.4M",
                                "B × T × d_model",
                            ),
                        ),
                        (
                            Source("segments", "segments", "B × T"),
                            Box("embed", "embedding", "Embedding", "2 × d_model", "1.5K", "B × T × d_model"),
                        ),
                    ),
                    shape="B × T × d_model",
                ),
                Beside(
                    "position/add",
                    Box("position", "position", "Learned positions", "512 × d_model", "393K"),
                    feed="positions 0 … T−1",
                ),
                norm("norm"),
                Group(
                    "layers",
                    "× 12",
                    "layer · 7.09M each",
                    (
                        residual("r1", Box("att", "attention", "Self-attention", "12 heads × 64", "2.36M")),
                        norm("n1"),
                        residual("r2", Box("ffn", "ffn", "Feed-forward", "768 → 3072 → 768 · GELU", "4.72M")),
                        norm("n2"),
                    ),
                ),
            ),
        ),
        Column(
            "word",
            (
                Source("word/encoder", "encoder", "B × T × d_model", of="layers"),
                Box("word/linear", "linear", "Linear", "d_model → d_model", "591K"),
                Box("word/gelu", "plain", "GELU"),
                norm("word/norm"),
                Box("logits", "linear", "Unembedding", "d_model → vocab_size · bias", "tied", "B × T × vocab_size"),
            ),
            (("logits", "logits", "B × T × vocab_size"),),
        ),
        Column(
            "sentence",
            (
                Source("sentence/encoder", "encoder", "B × T × d_model", of="layers"),
                Box("pool", "plain", "Pool", "first", shape="B × d_model"),
                Box("sentence/linear", "linear", "Linear", "d_model → d_model", "591K"),
                Box("pooled", "plain", "Tanh"),
            ),
            (("pooled", "pooled", "B × d_model"),),
        ),
    ),
    (Lane("tie", "tok", "logits"),),
)


def _pre(prefix: str, *pairs: tuple[str, Box]) -> tuple[Branch, ...]:
    return tuple(
        residual(f"{prefix}/{name}", norm(f"{prefix}/{name}/norm", "RMSNorm", "512"), box) for name, box in pairs
    )


def _t5_box(name: str, title: str, facts: str = "8 heads × 64") -> Box:
    return Box(name, "attention", title, facts, "1.05M")


T5 = Figure(
    "t5",
    "encoder-decoder · pre-norm · 60.5M parameters",
    (("B", "batch"), ("S", "source length"), ("T", "target length"), ("d_model", "512"), ("vocab_size", "32,128")),
    (
        Column(
            "encoder",
            (
                Source("source", "source", "B × S"),
                Box("tok", "embedding", "Token embedding", "vocab_size × d_model", "16.4M", "B × S × d_model"),
                Group(
                    "encoder_layers",
                    "× 6",
                    "encoder_layer · 3.15M each",
                    _pre(
                        "e",
                        ("a", _t5_box("e/att", "Self-attention", "8 heads × 64 · relative bias")),
                        ("f", Box("e/ffn", "ffn", "Feed-forward", "512 → 2048 → 512 · ReLU", "2.10M")),
                    ),
                ),
                norm("e/final", "RMSNorm", "512"),
            ),
        ),
        Column(
            "decoder",
            (
                Source("target", "target", "B × T"),
                Box("embed", "embedding", "Token embedding", "vocab_size × d_model", "tied", "B × T × d_model"),
                Group(
                    "decoder_layers",
                    "× 6",
                    "decoder_layer · 4.20M each",
                    _pre(
                        "d",
                        ("a", _t5_box("d/att", "Causal self-attention", "8 heads × 64 · relative bias")),
                        ("c", _t5_box("cross", "Cross-attention")),
                        ("f", Box("d/ffn", "ffn", "Feed-forward", "512 → 2048 → 512 · ReLU", "2.10M")),
                    ),
                ),
                norm("d/final", "RMSNorm", "512"),
                Box("scale", "plain", "Scale", "× d_model ** -0.5"),
                Box("logits", "linear", "Unembedding", "d_model → vocab_size", "tied", "B × T × vocab_size"),
            ),
            (("logits", "logits", "B × T × vocab_size"),),
        ),
    ),
    (
        Lane("memory", "e/final", "cross", "K, V : B × S × d_model"),
        Lane("tie", "tok", "embed"),
        Lane("tie", "tok", "logits"),
    ),
)


VIT = Figure(
    "vit",
    "encoder-only · pre-norm · 86.6M parameters",
    (("B", "batch"), ("d_model", "768"), ("classes", "1,000")),
    (
        Column(
            "model",
            (
                Source("pixels", "pixels", "B × 3 × 224 × 224"),
                Box("patch", "embedding", "Patches", "16 × 16 → d_model", "591K", "B × 196 × d_model"),
                Box("cls", "embedding", "Prepend", "1 learned token", "768", "B × 197 × d_model"),
                Beside("position/add", Box("position", "position", "Learned positions", "197 × d_model", "151K")),
                Group(
                    "layers",
                    "× 12",
                    "layer · 7.09M each",
                    (
                        residual("r1", norm("n1"), Box("att", "attention", "Self-attention", "12 heads × 64", "2.36M")),
                        residual(
                            "r2", norm("n2"), Box("ffn", "ffn", "Feed-forward", "768 → 3072 → 768 · GELU", "4.72M")
                        ),
                    ),
                ),
                norm("final"),
                Box("pool", "plain", "Pool", "first", shape="B × d_model"),
                Box("logits", "linear", "Linear", "d_model → classes · bias", "769K", "B × classes"),
            ),
            (("logits", "logits", "B × classes"),),
        ),
    ),
)


def _mixed(prefix: str, mask: str, sparse: bool) -> tuple[Branch, ...]:
    attention = Box(
        f"{prefix}/attention", "attention", f"{mask} self-attention", "16 heads × 64 · 4 kv heads · RoPE", "2.62M"
    )
    dense = Box(f"{prefix}/ffn", "ffn", "Feed-forward", "1024 → 4096 → 1024 · SwiGLU", "12.6M")
    moe = Box(f"{prefix}/moe", "ffn", "Mixture of experts", "top 2 of 8 · SwiGLU", "50.3M")
    mlp = moe if sparse else dense
    return tuple(
        residual(
            f"{prefix}/{box.id}/r",
            norm(f"{box.id}/before", "RMSNorm", "1.0K"),
            box,
            norm(f"{box.id}/after", "RMSNorm", "1.0K"),
        )
        for box in (attention, mlp)
    )


HYBRID = Figure(
    "hybrid",
    "decoder-only · sandwich norms · 871M parameters, 418M active",
    (("B", "batch"), ("T", "sequence"), ("d_model", "1024"), ("vocab_size", "32,000")),
    (
        Column(
            "model",
            (
                Source("tokens", "tokens", "B × T"),
                Box("tok", "embedding", "Token embedding", "vocab_size × d_model", "32.8M", "B × T × d_model"),
                Group(
                    "layers",
                    "× 4 of [5 local, 1 global]",
                    "layer · 207M each",
                    (
                        Group(
                            "pair",
                            "× 2 of [dense, sparse]",
                            "layer · sliding",
                            (
                                Group("a", "dense", "layer", _mixed("a", "Sliding", False)),
                                Group("b", "sparse", "layer", _mixed("b", "Sliding", True)),
                            ),
                        ),
                        Group("c", "dense", "layer · sliding", _mixed("c", "Sliding", False)),
                        Group("d", "sparse", "layer · global", _mixed("d", "Causal", True)),
                    ),
                ),
                norm("final", "RMSNorm", "1.0K"),
                Box("logits", "linear", "Unembedding", "d_model → vocab_size", "tied", "B × T × vocab_size"),
            ),
            (("logits", "logits", "B × T × vocab_size"),),
        ),
    ),
    (Lane("tie", "tok", "logits"),),
)


FIGURES = {
    "gpt2": GPT2,
    "transformer": TRANSFORMER,
    "bert": BERT,
    "t5": T5,
    "vit": VIT,
    "hybrid": HYBRID,
    "parallel": PARALLEL,
}
