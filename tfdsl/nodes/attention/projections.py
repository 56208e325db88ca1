"""The matrices and vectors that attention declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfdsl.node import Step, Weight

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


def declared(attention: Attention, step: Step) -> Mapping[str, Weight]:
    """Return the parameters that attention declares where it stands, by their names in its layer."""
    place = attention.place(step.x, attention.memory(step))
    return {
        **_entering(attention, step),
        **_leaving(attention, step),
        **_norms(attention, step),
        **attention.position.weights(place),
        **attention.method.weights(place),
        **attention.mask.weights(attention, step.width),
    }


def _entering(attention: Attention, step: Step) -> Mapping[str, Weight]:
    """Return the projections that make queries, keys and values: one, or two where keys are of another value."""
    width, dim = step.width, attention.dim(step.width)
    q, k = attention.heads * dim, attention.groups * dim
    if attention.kv is None:
        return {"qkv.weight": Weight((q + 2 * k, width)), **_shifts(attention, {"q": q, "k": k, "v": k})}
    memory = attention.memory(step).width
    return {
        "q.weight": Weight((q, width)),
        "kv.weight": Weight((2 * k, memory)),
        **_shifts(attention, {"q": q}),
        **_shifts(attention, {"k": k, "v": k}),
    }


def _shifts(attention: Attention, rows: Mapping[str, int]) -> dict[str, Weight]:
    """Return the biases of a projection that makes these: one vector where all have one, else one for each."""
    having = [letter for letter in rows if letter in attention.bias.letters]
    if len(having) == len(rows):
        return {f"{''.join(rows)}.bias": Weight((sum(rows.values()),), "zeros", decays=False)}
    return {f"{letter}_bias": Weight((rows[letter],), "zeros", decays=False) for letter in having}


def _leaving(attention: Attention, step: Step) -> Mapping[str, Weight]:
    weights = {"out.weight": Weight((step.width, attention.heads * attention.dim(step.width)), "output")}
    if attention.bias.out:
        weights["out.bias"] = Weight((step.width,), "zeros", decays=False)
    return weights


def _norms(attention: Attention, step: Step) -> Mapping[str, Weight]:
    weights: dict[str, Weight] = {}
    dim = attention.dim(step.width)
    for name in ("q_norm", "k_norm") if attention.qk_norm else ():
        weights[f"{name}.weight"] = Weight((dim,), "ones", decays=False)
        if attention.qk_norm == "layer":
            weights[f"{name}.bias"] = Weight((dim,), "zeros", decays=False)
    return weights
