"""What the families' recipes have in common: the pieces of a spec that a config's settings stand for."""

from __future__ import annotations

from typing import Any

from tfdsl.weights.config import Config, Refused

Tree = dict[str, Any]
TOKENS: Tree = {"tokens": {"shape": ["B", "T"], "vocab": "vocab_size"}}
LOGITS: Tree = {"logits": ["B", "T", "vocab_size"]}
GELU_TANH = dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast"), "gelu_tanh")
ACTIVATIONS = {"gelu": "gelu", "relu": "relu", "silu": "silu", "swish": "silu", "tanh": "tanh", **GELU_TANH}
GEGLU_TANH = dict.fromkeys(GELU_TANH, "geglu_tanh")
GATED = {"gelu": "geglu", "relu": "reglu", "silu": "swiglu", "swish": "swiglu", "sigmoid": "glu", **GEGLU_TANH}


def rows(*names: str) -> list[str]:
    """Return the names of tensors that are joined."""
    return list(names)


def each(prefix: str, *names: str, end: str = "*") -> list[str]:
    """Return `prefix.name.*` for each name: tensors that are joined."""
    return [f"{prefix}.{name}.{end}" for name in names]


def start(c: Config) -> Tree:
    """Return how weights start, where the config says it."""
    std = c.get("initializer_range")
    return {"init": {"std": std}} if isinstance(std, float) and 0 < std < 1 else {}


def dropout(c: Config, **keys: str) -> Tree:
    """Return the probabilities of dropout that are above 0, by their names in a spec."""
    found = {name: c.number(key, 0.0) for name, key in keys.items()}
    return {name: value for name, value in found.items() if value}


def position(c: Config, **fixed: Any) -> Tree:
    """Return rotary positions as a config says them: in `rope_parameters`, or in `rope_theta` and `rope_scaling`."""
    inner = c.inner("rope_parameters" if c.get("rope_parameters") else "rope_scaling")
    c.inert("rope_parameters", "rope_scaling")
    theta = inner.number("rope_theta", c.number("rope_theta", 10000.0))
    inner.inert("rope_theta")
    kind = inner.get("rope_type", inner.get("type", "default"))
    inner.inert("rope_type", "type")
    found: Tree = {"type": "rope", "theta": theta, **fixed}
    if kind != "default":
        raise Refused("R728", f"`rope_type` is `{str(kind)[:60]}`, which this import does not honour")
    c.refused += inner.finish("rope_parameters.")
    return found


def decoder(
    c: Config,
    name: str,
    *,
    bias: Any = False,
    ffn_bias: bool = False,
    qk_norm: Any = None,
) -> Tree:
    """Return the spec of a decoder in the manner of Llama, with what a family changes of it."""
    heads = c.whole("num_attention_heads")
    width = c.whole("hidden_size")
    groups = c.whole("num_key_value_heads", heads)
    dim = c.whole("head_dim", width // max(1, heads))
    tied = c.truth("tie_word_embeddings", False)
    c.inert("max_position_embeddings")
    attention: Tree = {"heads": "n_heads", "kv_heads": "n_kv_heads", "head_dim": "head_dim", "mask": "causal"}
    attention["position"] = position(c)
    attention |= {"bias": bias} if bias else {}
    attention |= {"qk_norm": qk_norm} if qk_norm else {}
    attention |= dropout(c, dropout="attention_dropout")
    ffn: Tree = {"hidden": "d_ff", "activation": c.word("hidden_act", GATED, "silu")}
    own, inner = "model.layers.$i", "model.layers.$i.self_attn"
    return {
        "tfdsl": 1,
        "name": name,
        "dims": {
            "vocab_size": c.whole("vocab_size"),
            "n_layers": c.whole("num_hidden_layers"),
            "d_model": width,
            "n_heads": heads,
            "n_kv_heads": groups,
            "head_dim": dim,
            "d_ff": c.whole("intermediate_size"),
        },
        "inputs": TOKENS,
        "outputs": LOGITS,
        "defaults": {
            "norm": {"type": "rms", "eps": c.number("rms_norm_eps", 1e-6)},
            "attention": attention,
            "ffn": ffn | ({"bias": True} if ffn_bias else {}),
        },
        "blocks": {"layer": [{"residual": ["norm", "attention"]}, {"residual": ["norm", "ffn"]}]},
        "model": [
            {"embed": {"id": "tok", "from": "tokens", "width": "d_model"}},
            {"repeat": {"block": "layer", "times": "n_layers"}},
            "norm",
            {"unembed": {"id": "logits", **({"tie": "tok"} if tied else {"width": "vocab_size"})}},
        ],
        **start(c),
        "weights": {
            "prefix": "model.",
            "ignore": ["*.rotary_emb.inv_freq"],
            "map": {
                "tok.weight": "model.embed_tokens.weight",
                "layers.$i.norm_1.weight": f"{own}.input_layernorm.weight",
                "layers.$i.attention.qkv.*": joined(each(inner, "q_proj", "k_proj", "v_proj"), heads != groups),
                "layers.$i.attention.out.*": f"{inner}.o_proj.*",
                "layers.$i.norm_2.weight": f"{own}.post_attention_layernorm.weight",
                "layers.$i.ffn.up.*": each(f"{own}.mlp", "gate_proj", "up_proj"),
                "layers.$i.ffn.down.*": f"{own}.mlp.down_proj.*",
                "norm.weight": "model.norm.weight",
                "logits.weight": "lm_head.weight",
            },
        },
    }


def joined(names: list[str], apart: bool) -> Any:
    """Return a join of queries, keys and values, with their rows where those differ."""
    few = "n_kv_heads * head_dim"
    return {"from": names, "heights": ["n_heads * head_dim", few, few]} if apart else names
