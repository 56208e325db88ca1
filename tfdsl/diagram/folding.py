"""Copies of a block folded to one: what they share is drawn once, where they differ the ways stand side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from tfdsl.diagram.tree import rebuilt
from tfdsl.look import Box, Branch, Element, Fork, Group
from tfdsl.parts import phrase

MOST = 3  # ways that are drawn; more are counted
Pipe = tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which a block is copied: how its parameters are bound, in how many copies, and what it looks like."""

    bindings: Mapping[str, Any]
    copies: int
    body: Pipe


def fold(variants: Sequence[Variant], place: str) -> Pipe:
    """Return the pipe that stands for all variants: equal parts once, the others joined by `or`.

    `place` begins the ids of what is made here.
    """
    return _merged([variant.body for variant in variants], variants, place)


def _merged(bodies: Sequence[Pipe], variants: Sequence[Variant], place: str) -> Pipe:
    """Return the common beginning and end of the bodies once, and what stands between them as ways."""
    if len(set(bodies)) <= 1:
        return bodies[0] if bodies else ()
    shortest = min(map(len, bodies))
    head = next((n for n in range(shortest) if not _alike([body[n] for body in bodies])), shortest)
    rest = shortest - head
    tail = next((n for n in range(rest) if not _alike([body[-1 - n] for body in bodies])), rest)
    middles = [body[head : len(body) - tail] for body in bodies]
    before = [element for n in range(head) for element in _one([body[n] for body in bodies], variants)]
    after = [element for n in range(tail, 0, -1) for element in _one([body[-n] for body in bodies], variants)]
    between = [_ways(middles, variants, f"{place}/{head}")] if any(middles) else []
    return (*before, *between, *after)


def _alike(ways: Sequence[Element]) -> bool:
    return len({(type(way), way.id) for way in ways}) == 1


def _one(ways: Sequence[Element], variants: Sequence[Variant]) -> Pipe:
    """Return one element of the pipe, in which the variants' elements stand at one place and have one id."""
    first = ways[0]
    if len(set(ways)) == 1:
        return (first,)
    if isinstance(first, Branch | Group) and len({_shell(way) for way in ways}) == 1:
        bodies = [way.body for way in ways if isinstance(way, Branch | Group)]
        return (replace(first, body=_merged(bodies, variants, first.id)),)
    if len(set(ways)) > MOST and (box := _range(ways, variants)):
        return (box,)
    return (_ways([(way,) for way in ways], variants, first.id),)


def _shell(element: Element) -> Element:
    """Return a branch or a frame without what stands in it."""
    return replace(element, body=(), tooltip="") if isinstance(element, Branch | Group) else element


def _range(ways: Sequence[Element], variants: Sequence[Variant]) -> Box | None:
    """Return one box for many that have one title: `hidden 256 … 960`, its parameters from the least to the most."""
    boxes = [way for way in ways if isinstance(way, Box)]
    if len(boxes) < len(ways) or len({(box.family, box.title) for box in boxes}) > 1:
        return None
    first, last = boxes[0], boxes[-1]
    name = next((name for name in variants[0].bindings if _chooses(name, ways, variants)), "")
    said = [say(each.bindings[name]) if name else box.facts for each, box in zip(variants, boxes, strict=True)]
    corner = first.corner if first.corner == last.corner else f"{first.corner} … {last.corner}"
    return replace(first, facts=f"{name} {said[0]} … {said[-1]}".strip(), corner=corner, tooltip="")


def _chooses(name: str, ways: Sequence[Element | Pipe], variants: Sequence[Variant]) -> bool:
    """Return whether a parameter tells the ways apart, and tells nothing else."""
    values = [say(variant.bindings.get(name)) for variant in variants]
    return len(set(values)) == len(set(ways)) == len(set(zip(values, ways, strict=True)))


def _ways(bodies: Sequence[Pipe], variants: Sequence[Variant], place: str) -> Fork:
    distinct = list(dict.fromkeys(bodies))
    shown = distinct if len(distinct) <= MOST else distinct[: MOST - 1]
    pipes = [_named(body, way) for way, body in enumerate(shown)]
    labels = [_label(body, bodies, variants) for body in shown]
    if len(shown) < len(distinct):
        pipes.append((Box(f"{place}/more", "plain", f"{len(distinct) - len(shown)} more ways"),))
        labels.append("")
    return Fork(f"{place}/or", tuple(pipes), "or", tooltip="each copy has one of these", labels=tuple(labels))


def _label(body: Pipe, bodies: Sequence[Pipe], variants: Sequence[Variant]) -> str:
    """Return what a way is called: the value of the parameter that chooses it, else in how many copies it stands."""
    chosen = [variant for variant, way in zip(variants, bodies, strict=True) if way == body]
    for name, value in chosen[0].bindings.items():
        if _chooses(name, bodies, variants):
            return say(value)
    return f"{sum(variant.copies for variant in chosen)} ×"


def say(value: Any) -> str:
    """Return a parameter's value in a word: that of a mapping is its type."""
    return str(value["type"]) if isinstance(value, dict) and "type" in value else phrase(value)


def _named(body: Pipe, way: int) -> Pipe:
    """Return a way with ids of its own; the first keeps them, so that lanes find it."""
    return rebuilt(body, lambda element: replace(element, id=f"{element.id}@{way}")) if way else body


def patterns(order: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how each parameter that varies goes through the copies: `mix × 4 of [5 local, 1 global]`."""
    first: Mapping[str, Any] = order[0] if order else {}
    names = [name for name in first if len({say(each[name]) for each in order}) > 1]
    texts = [(name, pattern([say(each[name]) for each in order])) for name in names]
    return [text if len(texts) == 1 else f"{name} {text}" for name, text in texts]


def pattern(values: Sequence[str]) -> str:
    """Return a sequence by its shortest period: `× 4 of [5 local, 1 global]`.

    >>> pattern(["local"] * 5 + ["global"]), pattern(["dense", "sparse"] * 12)
    ('[5 local, 1 global]', '× 12 of [dense, sparse]')
    """
    count = len(values)
    periods = (n for n in range(1, count + 1) if count % n == 0 and list(values) == list(values[:n]) * (count // n))
    period = next(periods, count)
    runs = [(value, len(list(run))) for value, run in groupby(values[:period])]
    alike = all(length == 1 for _, length in runs)
    said = [value if alike else f"{length} {'× ' if value[:1].isdigit() else ''}{value}" for value, length in runs]
    if len(said) > 4:
        said = [*said[:2], "…", said[-1]]
    return f"[{', '.join(said)}]" if period == count else f"× {count // period} of [{', '.join(said)}]"
