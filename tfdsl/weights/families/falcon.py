"""falcon: both branches side by side; one key and value head for all, or groups that stand together in one matrix."""

from __future__ import annotations

from typing import Any

from tfdsl.weights.config import Config
from tfdsl.weights.decoders import PARALLEL, PRE
from tfdsl.weights.recipes import ACTIVATIONS, LOGITS, TOKENS, Tree, dropout, rope, start

BOTH = [{"residual": [{"sum": [["norm", "attention"], ["norm", "ffn"]]}]}]


def spec(c: Config) -> Tree:
    """Return the spec of a Falcon, of the first design (7B, RW) or of the second (40B, 180B)."""
    width, heads = c.whole("hidden_size", 4544), c.whole("num_attention_heads", 71)
    c.inert("max_position_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "n_layer", "n_head", "num_kv_heads")
    second, multi = c.truth("new_decoder_architecture", False), c.truth("multi_query", True)
    parallel = c.truth("parallel_attn", True)
    groups = c.whole("num_kv_heads", heads) if second else 1 if multi else heads
    two = c.whole("num_ln_in_parallel_attn", 2 if second else 1) == 2
    alibi, bias = c.truth("alibi", False), c.truth("bias", False)
    layer = PRE if not parallel else BOTH if two else PARALLEL
    left = dropout(c, dropout="hidden_dropout")
    tied = c.truth("tie_word_embeddings", True)
    return {
        "tfdsl": 1,
        "name": "falcon",
        "dims": {
            "vocab_size": c.whole("vocab_size", 65024),
            "n_layers": c.whole("num_hidden_layers", 32),
            "d_model": width,
            "n_heads": heads,
            "n_kv_heads": groups,
            "head_dim": "d_model / n_heads",
            "d_ff": c.whole("ffn_hidden_size", 4 * width),
        },
        "inputs": TOKENS,
        "outputs": LOGITS,
        "defaults": {
            "norm": {"type": "layer", "eps": c.number("layer_norm_epsilon", 1e-5)},
            "attention": {
                "heads": "n_heads",
                "kv_heads": "n_kv_heads",
                "head_dim": "head_dim",
                "mask": "causal",
                "position": {"type": "alibi", "scaled": True} if alibi else rope(c),
                **({"bias": True} if bias else {}),
                **dropout(c, dropout="attention_dropout"),
            },
            "ffn": {
                "hidden": "d_ff",
                "activation": c.word("activation", ACTIVATIONS, "gelu"),
                **({"bias": True} if bias else {}),
            },
            **({"residual": left} if left else {}),
        },
        "blocks": {"layer": layer},
        "model": [
            {"embed": {"id": "tok", "from": "tokens", "width": "d_model"}},
            {"repeat": {"block": "layer", "times": "n_layers"}},
            "norm",
            {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
        ],
        **start(c),
        "weights": {"prefix": "transformer.", "map": entries(parallel, two, second, multi, bias)},
    }


def entries(parallel: bool, two: bool, second: bool, multi: bool, bias: bool) -> Tree:
    """Return the entries of all weights."""
    layer = "transformer.h.$i"
    names = ("ln_attn", "ln_mlp") if parallel and two else ("input_layernorm", "post_attention_layernorm")
    norms = {f"layers.$i.norm_{place}.*": f"{layer}.{name}.*" for place, name in enumerate(names, 1)}
    if parallel and not two:
        norms = {"layers.$i.norm.*": f"{layer}.input_layernorm.*"}
    inner = f"{layer}.self_attention"
    return {
        "tok.weight": "transformer.word_embeddings.weight",
        **norms,
        **queries(f"{inner}.query_key_value", second, multi, bias),
        "layers.$i.attention.out.*": f"{inner}.dense.*",
        "layers.$i.ffn.up.*": f"{layer}.mlp.dense_h_to_4h.*",
        "layers.$i.ffn.down.*": f"{layer}.mlp.dense_4h_to_h.*",
        "norm.*": "transformer.ln_f.*",
        "logits.weight": "lm_head.weight",
    }


def queries(name: str, second: bool, multi: bool, bias: bool) -> Tree:
    """Return the entries of queries, keys and values: in a row, or group by group, or head by head."""
    if multi and not second:
        return {"layers.$i.attention.qkv.*": f"{name}.*"}
    found: Tree = {}
    for end, axes in (("weight", " w"), *([("bias", "")] if bias else [])):
        key = f"layers.$i.attention.qkv.{end}"
        if not second:
            pattern, sizes = f"(h three d){axes} -> (three h d){axes}", {"h": "n_heads", "three": 3}
            found[key] = {"from": f"{name}.{end}", "rearrange": pattern, "sizes": sizes}
            continue
        rows = ("0", "n_heads * head_dim", "(n_heads + n_kv_heads) * head_dim", "(n_heads + 2 * n_kv_heads) * head_dim")
        parts: list[Any] = [
            _part(f"{name}.{end}", axes, start, stop) for start, stop in zip(rows, rows[1:], strict=False)
        ]
        sizes = {"g": "n_kv_heads", "d": "head_dim"}
        parts[0] = {"from": parts[0], "rearrange": f"(r g d){axes} -> (g r d){axes}", "sizes": sizes}
        found[key] = parts
    return found


def _part(name: str, axes: str, start: str, stop: str) -> Tree:
    """Return the rows of a matrix that holds its groups one behind the other, with the place in a group in front."""
    sizes = {"g": "n_kv_heads", "d": "head_dim"}
    return {"from": name, "rearrange": f"(g n d){axes} -> (n g d){axes}", "sizes": sizes, "rows": [start, stop]}
