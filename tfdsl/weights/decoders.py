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
NORMS: Tree = {
    "layers.$i.norm_1.*": f"{OWN}.input_layernorm.*",
    "layers.$i.norm_2.*": f"{OWN}.post_attention_layernorm.*",
}
GATES: Tree = {
    "layers.$i.ffn.up.*": each(f"{OWN}.mlp", "gate_proj", "up_proj"),
    "layers.$i.ffn.down.*": f"{OWN}.mlp.down_proj.*",
}


QK_NORMS: Tree = {
    "layers.$i.attention.q_norm.weight": f"{INNER}.q_norm.weight",
    "layers.$i.attention.k_norm.weight": f"{INNER}.k_norm.weight",
}


def qk_norm(c: Config, **fields: Any) -> Tree:
    """Return the field of an RMS norm on each head's queries and keys, with the config's own eps."""
    return {"qk_norm": {"type": "rms", "eps": c.number("rms_norm_eps", 1e-6), **fields}}


@dataclass(frozen=True)
class Manner:
    """What a family has other than Llama: fields of nodes, the layer's pipe, and where its weights come from."""

    name: str
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
    masks: list[Any] | None = None
    dims: Tree = field(default_factory=dict[str, Any])
    tied: bool = False  # where the config does not say
    eps: float = 1e-6
    theta: float = 10000.0  # the same, of rotary positions
    fraction: float = 1.0  # and of the share of a head that turns


def decoder(c: Config, manner: Manner) -> Tree:
    """Return the spec of a decoder of this manner."""
    heads, width = c.whole("num_attention_heads"), c.whole("hidden_size")
    groups = c.whole("num_key_value_heads", heads)
    tied = c.truth("tie_word_embeddings", manner.tied)
    c.inert("max_position_embeddings")
    tree: Tree = {
        "tfdsl": 1,
        "name": manner.name,
        "dims": {
            "vocab_size": c.whole("vocab_size"),
            "n_layers": c.whole("num_hidden_layers"),
            "d_model": width,
            "n_heads": heads,
            "n_kv_heads": groups,
            "head_dim": c.whole("head_dim", width // max(1, heads)),
            "d_ff": c.whole("intermediate_size"),
            **manner.dims,
        },
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
                "layers.$i.attention.qkv.*": manner.qkv
                or joined(each(INNER, "q_proj", "k_proj", "v_proj"), heads != groups),
                "layers.$i.attention.out.*": f"{INNER}.o_proj.*",
                **manner.feed,
                "norm.*": "model.norm.*",
                f"{'scores' if manner.after else 'logits'}.*": "lm_head.*",
                **manner.more,
            },
        },
    }
    if manner.masks is not None:
        tree["defaults"]["attention"]["mask"] = mask = varied(tree, "mask", manner.masks)
        if mask == "$mask":
            tree["defaults"]["attention"]["mask"] = "causal"
            tree["blocks"]["layer"]["body"] = within(tree["blocks"]["layer"]["body"], "attention", {"mask": mask})
    return tree


def _defaults(c: Config, manner: Manner) -> Tree:
    attention: Tree = {"heads": "n_heads", "kv_heads": "n_kv_heads", "head_dim": "head_dim", "mask": "causal"}
    position = rope(c, manner.theta, manner.fraction) if manner.position is None else manner.position
    attention |= {"position": position} if position else {}
    attention |= {"bias": manner.bias} if manner.bias else {}
    attention |= manner.attention | dropout(c, dropout="attention_dropout")
    ffn: Tree = {"hidden": "d_ff", **manner.ffn}
    if "activation" not in ffn:
        ffn["activation"] = c.word(manner.activation, GATED if manner.gated else ACTIVATIONS, "silu")
    norm = manner.norm or {"type": "rms", "eps": c.number("rms_norm_eps", manner.eps)}
    found: Tree = {"norm": norm, "attention": attention}
    found |= {"ffn": ffn} if "ffn" in str(manner.layer) else {}
    return found | ({"residual": manner.residual} if manner.residual else {})


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


def within(pipe: Any, kind: str, fields: Tree) -> Any:
    """Return a pipe in which each bare node of a kind has these fields."""
    if pipe == kind:
        return {kind: fields}
    if isinstance(pipe, list):
        return [within(each, kind, fields) for each in pipe]
    if isinstance(pipe, dict):
        if kind in pipe and isinstance(pipe[kind], dict):
            return {kind: {**pipe[kind], **fields}}
        return {name: within(each, kind, fields) for name, each in pipe.items()}
    return pipe
