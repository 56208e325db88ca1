"""The matrices and vectors that attention declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfdsl.node import Step, Weight
from tfdsl.nodes.attention.layer import leaving

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


def declared(attention: Attention, step: Step) -> Mapping[str, Weight]:
    """Return the parameters that attention declares where it stands, by their names in its layer."""
    place = attention.place(step.x, attention.memory(step))
    return {
        **_entering(attention, step),
        **_leaving(attention, step),
        **_norms(attention, step),
        **_scores(attention),
        **attention.position.weights(place),
        **attention.method.weights(place),
        **attention.mask.weights(attention, step.width),
    }


def _entering(attention: Attention, step: Step) -> Mapping[str, Weight]:
    """Return the projections that make queries, keys and values: one, or two where keys are of another value."""
    width, dim = step.width, attention.dim(step.width)
    q, k, v = attention.heads * dim, attention.groups * dim, attention.groups * attention.value_size(width)
    if attention.reuse is not None:
        return {"q.weight": Weight((q, width)), **_shifts(attention, {"q": q})}
    if attention.kv is None and attention.values == "keys":
        return {"qkv.weight": Weight((q + k, width)), **_shifts(attention, {"q": q, "k": k}, "qkv")}
    if attention.kv is None:
        return {"qkv.weight": Weight((q + k + v, width)), **_shifts(attention, {"q": q, "k": k, "v": v})}
    memory = attention.memory(step).width
    return {
        "q.weight": Weight((q, width)),
        "kv.weight": Weight((k + v, memory)),
        **_shifts(attention, {"q": q}),
        **_shifts(attention, {"k": k, "v": v}),
    }


def _shifts(attention: Attention, rows: Mapping[str, int], name: str = "") -> dict[str, Weight]:
    """Return the biases of a projection that makes these: one vector where all have one, else one for each."""
    having = [letter for letter in rows if letter in attention.bias.letters]
    if len(having) == len(rows):
        return {f"{name or ''.join(rows)}.bias": Weight((sum(rows.values()),), "zeros", decays=False)}
    return {f"{letter}_bias": Weight((rows[letter],), "zeros", decays=False) for letter in having}


def _leaving(attention: Attention, step: Step) -> Mapping[str, Weight]:
    """Return what becomes of what the heads read: a difference, a gate, and the matrix behind them."""
    value = attention.value_size(step.width)
    weights: dict[str, Weight] = {}
    if attention.differential is not None:
        for name in ("q_1", "k_1", "q_2", "k_2"):
            shape = (attention.dim(step.width),)
            weights[f"differential.{name}"] = Weight(shape, "nn.init.normal_(weight, std=0.1)", decays=False)
        if attention.differential.weight:
            weights["differential.norm.weight"] = Weight((2 * value,), "ones", decays=False)
    if attention.gate is not None:
        rows = attention.heads * value if attention.gate.per == "channel" else leaving(attention, value)[0]
        weights["gate.weight"] = Weight((rows, step.width))
        if attention.gate.bias:
            weights["gate.bias"] = Weight((rows,), "zeros", decays=False)
    weights["out.weight"] = Weight((step.width, attention.heads * value), "output")
    if attention.bias.out:
        weights["out.bias"] = Weight((step.width,), "zeros", decays=False)
    return weights


def _norms(attention: Attention, step: Step) -> Mapping[str, Weight]:
    dim, value = attention.dim(step.width), attention.value_size(step.width)
    weights: dict[str, Weight] = {}
    if attention.qk_norm is not None:
        weights |= attention.qk_norm.weights("q_norm", attention.heads, dim, "head")
        if attention.reuse is None:
            weights |= attention.qk_norm.weights("k_norm", attention.groups, dim, "head")
    if attention.v_norm is not None:
        weights |= attention.v_norm.weights("v_norm", attention.groups, value, "head")
    if attention.out_norm is not None:
        weights |= attention.out_norm.weights("out_norm", *leaving(attention, value), "all")
    return weights


def _scores(attention: Attention) -> Mapping[str, Weight]:
    weights: dict[str, Weight] = {}
    if attention.value_mix is not None and attention.value_mix.learned:
        starts = {"own": attention.value_mix.own, "kept": attention.value_mix.kept}
        weights |= {f"residual.{name}": Weight((1,), float(start), decays=False) for name, start in starts.items()}
    if attention.sinks == "learned":
        weights["sink"] = Weight((attention.heads,), "zeros", decays=False)
    if attention.talking_heads is not None:
        heads, talking = attention.heads, attention.talking_heads
        for name in (name for name in ("before", "after") if talking.at in (name, "both")):
            weights[f"{name}.weight"] = Weight((heads, heads), "nn.init.eye_(weight)", decays=False)
            weights |= {f"{name}.bias": Weight((heads,), "zeros", decays=False)} if talking.bias else {}
    return weights
