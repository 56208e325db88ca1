"""The layer that attention compiles to, and its arguments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfdsl.node import Call, Step
from tfdsl.nodes.attention.gates import ValueMix
from tfdsl.nodes.attention.places import Place

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


def call(node: Attention, step: Step) -> Call:
    """Return the layer of attention where it stands."""
    memory = node.memory(step)
    place = node.place(step.x, memory)
    own, near = node.position.layer(node, place), node.near(place)
    if own is not None:
        return replace(own, named={**own.named, **(near.named if near is not None else {})})
    named: dict[str, Any] = {"kv_heads": None if node.groups == node.heads else node.groups}
    named["head_dim"] = None if place.dim * node.heads == step.width else place.dim
    named |= {"value_dim": None if node.value_size(step.width) == place.dim else node.value_size(step.width)}
    named |= {"bias": letters(node), "out_bias": node.bias.out, "dropout": node.dropout, "scale": node.scale}
    hidden = place.keys.keep is not None or place.queries.parts != place.keys.parts
    named |= {**_norms(node, step), **_scores(node, hidden), **_reading(node, step)}
    named |= {"keeps": True} if node.keep is not None else {}
    if node.kv is not None:
        apart = None if memory.width == step.width else memory.width
        return Call("CrossAttention", (step.width, node.heads), {"memory_width": apart, **named})
    named |= node.position.options(place)
    if node.temperature is not None:
        given = node.temperature
        named["temperature"] = Call("Temperature", (given.type, given.length, given.by), {"shift": given.shift})
    if node.value_residual is not None:
        mix = node.value_mix if node.value_mix is not None else ValueMix.read({})
        named["residual"] = Call("ValueResidual", (float(mix.own), float(mix.kept)), {"learned": mix.learned})
    named |= {"tied": True} if node.values == "keys" else {}
    module = node.position.module(place)
    named |= {"relative": module} if module is not None else {}
    named |= {"causal": not node.mask.looks_ahead and node.fused and near is None}
    named |= near.named if near is not None else {}
    if node.reuse is not None:
        return Call("ReusingAttention", (step.width, node.heads), named)
    return Call("Attention", (step.width, node.heads), {**named, **_long(node, step, place)})


def _long(node: Attention, step: Step, place: Place) -> dict[str, Any]:
    """Return what long sequences are taken by: blocks, projections of the first positions, a method of its own."""
    blocks, first, method = node.blocks(place), node.mask.module(node, step.width), node.method.module(place)
    if method is not None and node.method.weighs:
        method = _weighing(node, method)
    named = {"blocks": _weighing(node, blocks.layer)} if blocks is not None else {}
    named |= {"first": first} if first is not None else {}
    return named | ({"method": method} if method is not None else {})


def _weighing(node: Attention, blocks: Call) -> Call:
    """Return the layer of blocks, or the one in it, with what it has to know of this attention."""
    if "near" in blocks.named:
        return replace(blocks, named={**blocks.named, "near": _weighing(node, blocks.named["near"])})
    grouped = node.groups != node.heads
    more = {"dropout": node.dropout, "scale": node.scale, "grouped": grouped}
    return replace(blocks, named={**blocks.named, **more})


def letters(node: Attention) -> str:
    """Return which of queries, keys and values have a vector added: `qkv` where one projection adds them all."""
    whole = node.values == "keys" and node.bias.letters == "qk"
    return "qkv" if whole else node.bias.letters


def _norms(node: Attention, step: Step) -> dict[str, Any]:
    """Return what is done to queries, keys and values before they meet."""
    dim, value, named = node.dim(step.width), node.value_size(step.width), dict[str, Any]()
    if node.clip_qkv is not None:
        named |= {"clip": node.clip_qkv.limit, "clip_late": node.clip_qkv.late}
    flat = ""
    if node.qk_norm is not None:
        named["q_norm"] = node.qk_norm.call(node.heads, dim, "head")
        if node.reuse is None:
            named["k_norm"] = node.qk_norm.call(node.groups, dim, "head")
        named |= {"norm_late": True} if node.qk_norm.place == "after" else {}
        flat += "q" if node.qk_norm.spans("head") != "head" else ""
    if node.v_norm is not None:
        named["v_norm"] = node.v_norm.call(node.groups, value, "head")
        flat += "v" if node.v_norm.spans("head") != "head" else ""
    if node.out_norm is not None:
        named["out_norm"] = node.out_norm.call(*leaving(node, value), "all")
        flat += "o" if node.out_norm.spans("all") != "head" else ""
    return named | ({"flat": flat} if flat else {})


def _scores(node: Attention, padded: bool) -> dict[str, Any]:
    """Return what becomes of the scores."""
    named: dict[str, Any] = {}
    if node.softcap is not None:
        named["softcap"] = node.softcap
    if node.sinks is not None:
        named["sinks"] = node.sinks
    if node.talking_heads is not None:
        mix = Call("HeadMix", (node.heads,), {"bias": True} if node.talking_heads.bias else {})
        named |= {name: mix for name in ("before", "after") if node.talking_heads.at in (name, "both")}
    return named | ({"padded": True} if padded and (node.softcap or node.talking_heads) else {})


def _reading(node: Attention, step: Step) -> dict[str, Any]:
    """Return what becomes of what the heads read."""
    value, named = node.value_size(step.width), dict[str, Any]()
    if node.differential is not None:
        given = node.differential
        norm = Call("RMSNorm", (2 * value,), {"eps": given.eps, "weight": given.weight})
        named["differential"] = Call("Differential", (node.dim(step.width), given.init), {"norm": norm})
    if node.gate is not None:
        rows = node.heads * value if node.gate.per == "channel" else leaving(node, value)[0]
        named["gate"] = Call("nn.Linear", (step.width, rows), {} if node.gate.bias else {"bias": False})
        named |= {"gate_by": node.gate.type, "gate_heads": node.gate.per == "head"}
    return named


def leaving(node: Attention, value: int) -> tuple[int, int]:
    """Return how many heads leave, and the features of each."""
    return (node.heads // 2, 2 * value) if node.differential is not None else (node.heads, value)
