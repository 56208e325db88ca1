"""Rotary positions as configs say them: in `rope_parameters`, or in the older `rope_theta` and `rope_scaling`."""

from __future__ import annotations

from typing import Any

from tfdsl.weights.config import Config, Refused

Tree = dict[str, Any]
WHERE = "rope_parameters"


def rope(c: Config, theta: float = 10000.0, fraction: float = 1.0, layer_type: str = "", style: str = "half") -> Tree:
    """Return the rotary positions of a config, or of one of its layer types where each has its own.

    `theta` and `fraction` are the family's defaults; the `style` is what its code does.
    """
    inner, place = _settings(c, layer_type)
    kind = inner.get("rope_type", inner.get("type", "default"))
    inner.inert("type", "rope_theta")
    c.inert("original_max_position_embeddings")  # a scaling reads it
    found: Tree = {"type": "rope", "theta": inner.number("rope_theta", c.number("rope_theta", theta))}
    found |= {"style": style} if style != "half" else {}
    part = inner.number("partial_rotary_factor", c.number("partial_rotary_factor", fraction))
    if part != 1:
        found["fraction"] = part
    if not isinstance(kind, str) or kind not in KINDS:
        raise Refused("R728", f"`{place}.rope_type` is `{str(kind)[:60]}`, which has no counterpart")
    scaling = KINDS[kind](inner, c)
    c.refused += inner.finish(f"{place}.")
    return {**found, **({"scaling": {"type": kind, **scaling}} if scaling else {})}


def _settings(c: Config, layer_type: str) -> tuple[Config, str]:
    place = WHERE if c.get(WHERE) else "rope_scaling"
    c.inert(WHERE, "rope_scaling")
    inner = c.inner(place)
    if layer_type and isinstance(inner.values.get(layer_type), dict):
        return inner.inner(layer_type), f"{place}.{layer_type}"
    return inner, place


def _length(inner: Config, c: Config) -> int:
    """Return the length that a model was first trained at."""
    own, key = inner.get("original_max_position_embeddings"), "original_max_position_embeddings"
    inner.inert(key)
    found = c.whole(key, None) or own or c.whole("max_position_embeddings", 2048)
    if type(found) is not int:
        raise Refused("R728", f"`{key}` is `{str(found)[:60]}`, which is not a whole number")
    return found


def _factor(inner: Config, c: Config) -> float:
    found = inner.number("factor", None)
    return found if found is not None else c.whole("max_position_embeddings") / _length(inner, c)


def _default(inner: Config, c: Config) -> Tree:
    inner.inert("factor", "original_max_position_embeddings", "mscale", "mscale_all_dim", "beta_fast", "beta_slow")
    return {}


def _linear(inner: Config, c: Config) -> Tree:
    inner.inert("original_max_position_embeddings")
    return {"factor": inner.number("factor")}


def _dynamic(inner: Config, c: Config) -> Tree:
    inner.inert("original_max_position_embeddings")
    return {"factor": inner.number("factor"), "length": c.whole("max_position_embeddings", 2048)}


def _yarn(inner: Config, c: Config) -> Tree:
    found: Tree = {"factor": _factor(inner, c), "length": _length(inner, c)}
    for key, usual in (("beta_fast", 32.0), ("beta_slow", 1.0)):
        value = inner.number(key, usual) or usual
        found |= {key: value} if value != usual else {}
    attention, scales = (
        inner.number("attention_factor", None),
        [inner.number(key, 0) for key in ("mscale", "mscale_all_dim")],
    )
    if attention is not None:
        found["attention_factor"] = attention
    elif all(scales):
        found |= {"mscale": scales[0], "mscale_all_dim": scales[1]}
    return found | ({} if inner.truth("truncate", True) else {"truncate": False})


def _llama3(inner: Config, c: Config) -> Tree:
    bounds = {"low": inner.number("low_freq_factor"), "high": inner.number("high_freq_factor")}
    return {"factor": inner.number("factor"), "length": _length(inner, c), **bounds}


def _longrope(inner: Config, c: Config) -> Tree:
    found: Tree = {"length": _length(inner, c)}
    for ours, theirs in (("short", "short_factor"), ("long", "long_factor")):
        numbers = inner.get(theirs)
        if not isinstance(numbers, list) or not all(type(each) in (int, float) for each in numbers):
            raise Refused("R728", f"`{theirs}` is not a list of numbers")
        found[ours] = numbers
    attention = inner.number("attention_factor", None)
    return found | ({"factor": _factor(inner, c)} if attention is None else {"attention_factor": attention})


KINDS = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "yarn": _yarn,
    "llama3": _llama3,
    "longrope": _longrope,
    "su": _longrope,
}
