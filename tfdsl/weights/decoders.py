"""The spec of a decoder in the manner of Llama, from which the recipes of many families start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tfdsl.weights.config import Config
from tfdsl.weights.recipes import ACTIVATIONS, GATED, LOGITS, TOKENS, Tree, dropout, each, joined, rope, start, varied

OWN = "model.layers.$i"
INNER = f"{OWN}.self_attn"
QKV = ("q_proj", "k_proj", "v_proj")
PRE = [{"residual": ["norm", "attention"]}, {"residual": ["norm", "ffn"]}]
PARALLEL = [{"residual": ["norm", {"sum": [["attention"], ["ffn"]]}]}]
SANDWICH = [{"residual": ["norm", "attention", "norm"]}, {"residual": ["norm", "ffn", "norm"]}]
NORMS: Tree = {
    "layers.$i.norm_1.*": f"{OWN}.input_layernorm.*",
    "layers.$i.norm_2.*": f"{OWN}.post_attention_layernorm.*",
}
SANDWICHED: Tree = {
    **NORMS,
    "layers.$i.norm_3.*": f"{OWN}.pre_feedforward_layernorm.*",
    "layers.$i.norm_4.*": f"{OWN}.post_feedforward_layernorm.*",
}
GATES: Tree = {
    "layers.$i.ffn.up.*": each(f"{OWN}.mlp", "gate_proj", "up_proj"),
    "layers.$i.ffn.down.*": f"{OWN}.mlp.down_proj.*",
}
QK_NORMS: Tree = {
    "layers.$i.attention.q_norm.weight": f"{INNER}.q_norm.weight",
    "layers.$i.attention.k_norm.weight": f"{INNER}.k_norm.weight",
}


def qk_norm(c: Config, eps: float = 1e-6, **fields: Any) -> Tree:
    """Return the field of an RMS norm on queries and keys, with the config's own eps."""
    return {"qk_norm": {"type": "rms", "eps": c.number("rms_norm_eps", eps), **fields}}


@dataclass(frozen=True)
class Manner:
    """What a family has other than Llama: fields of nodes, the layer's pipe, and where its weights come from."""

    name: str
    kind: str = "attention"
    bias: Any = False
    attention: Tree = field(default_factory=dict[str, Any])
    position: Any = None  # rotary, as the config says, where None
    norm: Tree | None = None
    ffn: Tree = field(default_factory=dict[str, Any])
    activation: str = "hidden_act"
    gated: bool = True
    layer: list[Any] = field(default_factory=lambda: PRE)
    residual: Tree = field(default_factory=dict[str, Any])
    embedded: Tree = field(default_factory=dict[str, Any])  # dropout behind the embedding
    norms: Tree = field(default_factory=lambda: NORMS)
    feed: Tree = field(default_factory=lambda: GATES)
    qkv: Any = None  # its entry, where it is not a join of three
    more: Tree = field(default_factory=dict[str, Any])  # further entries
    embed: Tree = field(default_factory=dict[str, Any])
    after: list[Any] = field(default_factory=list[Any])  # nodes behind the unembedding
    masks: list[Any] | None = None  # a layer each
    positions: list[Any] | None = None
    mixture: Tree = field(default_factory=dict[str, Any])  # fields of `moe`, in the layers that are `sparse`
    sparse: list[bool] = field(default_factory=list[bool])
    experts: Tree = field(default_factory=dict[str, Any])  # its entries, as for `layers.$i.moe`
    dims: Tree = field(default_factory=dict[str, Any])
    tied: bool = False  # where the config does not say
    eps: float = 1e-6
    theta: float = 10000.0  # the same, of rotary positions
    fraction: float = 1.0  # and of the share of a head that turns


def decoder(c: Config, manner: Manner) -> Tree:
    """Return the spec of a decoder of this manner."""
    tied = c.truth("tie_word_embeddings", manner.tied)
    c.inert("max_position_embeddings")
    dims = _dims(c, manner)
    tree: Tree = {
        "tfdsl": 1,
        "name": manner.name,
        "dims": dims,
        "inputs": TOKENS,
        "outputs": LOGITS,
        "defaults": _defaults(c, manner),
        "blocks": {"layer": manner.layer},
        "model": _model(manner, tied),
        **start(c),
        "weights": {
            "prefix": "model.",
            "ignore": ["*.rotary_emb.inv_freq"],
            "map": {
                "tok.weight": "model.embed_tokens.weight",
                **manner.norms,
                **_attention(manner, dims),
                **_feed(manner),
                "norm.*": "model.norm.*",
                f"{'scores' if manner.after else 'logits'}.*": "lm_head.*",
                **manner.more,
            },
        },
    }
    _vary(tree, manner)
    return tree


def _dims(c: Config, manner: Manner) -> Tree:
    width, heads = c.whole("hidden_size"), c.whole("num_attention_heads")
    dims: Tree = {"vocab_size": c.whole("vocab_size"), "n_layers": c.whole("num_hidden_layers"), "d_model": width}
    dims["n_heads"] = heads
    if manner.kind == "attention":
        dims["n_kv_heads"] = c.whole("num_key_value_heads", heads)
        dims["head_dim"] = c.whole("head_dim", width // max(1, heads))
    hidden = c.whole("intermediate_size")
    dims |= {} if manner.sparse and all(manner.sparse) else {"d_ff": hidden}
    experts = ("d_expert", "n_experts")
    return dims | {key: size for key, size in manner.dims.items() if any(manner.sparse) or key not in experts}


def _defaults(c: Config, manner: Manner) -> Tree:
    attention: Tree = {"heads": "n_heads"}
    if manner.kind == "attention":
        position = rope(c, manner.theta, manner.fraction) if manner.position is None else manner.position
        attention |= {"kv_heads": "n_kv_heads", "head_dim": "head_dim", "mask": "causal"}
        attention |= {"position": position} if position else {}
        attention |= {"bias": manner.bias} if manner.bias else {}
    found: Tree = {
        "norm": manner.norm or {"type": "rms", "eps": c.number("rms_norm_eps", manner.eps)},
        manner.kind: attention | manner.attention | dropout(c, dropout="attention_dropout"),
    }
    if not manner.sparse or not all(manner.sparse):
        ffn: Tree = {"hidden": "d_ff", **manner.ffn}
        if "activation" not in ffn:
            ffn["activation"] = c.word(manner.activation, GATED if manner.gated else ACTIVATIONS, "silu")
        found["ffn"] = ffn
    found |= {"moe": manner.mixture} if any(manner.sparse) else {}
    return found | ({"residual": manner.residual} if manner.residual else {})


def _attention(manner: Manner, dims: Tree) -> Tree:
    """Return the entries of attention."""
    if manner.kind == "attention":
        apart = dims["n_kv_heads"] != dims["n_heads"]
        return {
            "layers.$i.attention.qkv.*": manner.qkv or joined(each(INNER, *QKV), apart),
            "layers.$i.attention.out.*": f"{INNER}.o_proj.*",
        }
    own = f"layers.$i.{manner.kind}"
    queries: Tree = {f"{own}.q.*": f"{INNER}.q_proj.*"}
    if "q_rank" in dims:
        names = {"q_down": "q_a_proj", "q_norm": "q_a_layernorm", "q_up": "q_b_proj"}
        queries = {f"{own}.{ours}.*": f"{INNER}.{theirs}.*" for ours, theirs in names.items()}
    names = {"kv_down": "kv_a_proj_with_mqa", "kv_norm": "kv_a_layernorm", "kv_up": "kv_b_proj", "out": "o_proj"}
    return {**queries, **{f"{own}.{ours}.*": f"{INNER}.{theirs}.*" for ours, theirs in names.items()}}


def _feed(manner: Manner) -> Tree:
    """Return the entries of the feed-forward layers, dense and sparse."""
    if not any(manner.sparse):
        return manner.feed
    if all(manner.sparse):
        return manner.experts
    both = {**manner.feed, **manner.experts}
    return {name.replace("layers.$i.", "layers.$i.mlp.", 1): entry for name, entry in both.items()}


def _model(manner: Manner, tied: bool) -> list[Any]:
    words = {"tie": "tok"} if tied else {"width": "vocab_size"}
    last = {"unembed": {"id": "scores" if manner.after else "logits", **words}}
    return [
        {"embed": {"id": "tok", "from": "tokens", "width": "d_model", **manner.embed}},
        *({"dropout": share} for share in manner.embedded.values()),
        {"repeat": {"block": "layer", "times": "n_layers"}},
        "norm",
        last,
        *manner.after,
    ]


def _vary(tree: Tree, manner: Manner) -> None:
    """Set what differs from layer to layer: masks, positions, and which layers have experts."""
    blocks = tree["blocks"]
    if manner.kind != "attention":
        blocks["layer"] = within(blocks["layer"], "attention", manner.kind)
    if any(manner.sparse):
        feed: Any = "moe"
        if not all(manner.sparse):
            tree["blocks"] = blocks = {"dense": ["ffn"], "sparse": ["moe"], **blocks}
            feed = {"use": varied(tree, "mlp", ["sparse" if each else "dense" for each in manner.sparse])}
        _set(tree, "ffn", feed)
    for field_, values in (("mask", manner.masks), ("position", manner.positions)):
        if values is None:
            continue
        value = varied(tree, field_, values)
        if value == f"${field_}":
            _set(tree, "attention", {"attention": {field_: value}})
        tree["defaults"]["attention"][field_] = values[0] if value == f"${field_}" else value


def _set(tree: Tree, kind: str, node: Any) -> None:
    """Put a node in place of each of a kind in the layer."""
    layer = tree["blocks"]["layer"]
    if isinstance(layer, dict):
        layer["body"] = within(layer["body"], kind, node)
    else:
        tree["blocks"]["layer"] = within(layer, kind, node)


def within(pipe: Any, kind: str, node: Any) -> Any:
    """Return a pipe with `node` in place of each node of a kind; the fields of two are put together."""
    if pipe == kind:
        return node
    if isinstance(pipe, list):
        return [within(each, kind, node) for each in pipe]
    if isinstance(pipe, dict):
        if isinstance(pipe.get(kind), dict) and isinstance(node, dict) and kind in node:
            return {kind: {**pipe[kind], **node[kind]}}
        return {name: within(each, kind, node) for name, each in pipe.items()}
    return pipe
