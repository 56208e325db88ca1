"""What one forward pass of attention costs, and what the backward pass needs of it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tfdsl.node import Size, Step, Work
from tfdsl.nodes.attention.layer import leaving
from tfdsl.nodes.attention.positions import Place
from tfdsl.shapes import Tensor

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


def work(attention: Attention, step: Step) -> Work:
    """Return what one forward pass of attention costs."""
    memory = attention.memory(step)
    place, batch = attention.place(step.x, memory), prod(step.x.sizes[:-2], start=1)
    dim, value = place.dim, attention.value_size(step.width)
    q, k, v = attention.heads * dim, attention.groups * dim, attention.groups * value
    read = attention.heads * value
    there, here = memory.positions, step.x.positions
    makes = 0 if attention.reuse is not None else k + (v if attention.values == "own" else 0)
    entering = 2 * here * step.width * (q + _gates(attention, step)) + 2 * there * memory.width * makes
    products = attention.method.flops(place, batch) + _extra(attention, place, batch)
    out = 2 * here * read * step.width
    added = attention.position.work(place, batch)
    decodes = attention.reuse is None and (attention.kv is not None or not attention.mask.looks_ahead)
    return Work(
        flops=entering + products + out + added.flops,
        entering=entering,
        fixed=added.fixed,
        kept=_kept(attention, step, place, memory) + added.kept,
        cache=there * (k + v) if decodes else 0,
        needs=("x", "kv") if attention.kv is not None else ("x",),
    )


def _extra(attention: Attention, place: Place, batch: Size) -> Size:
    """Return what softmax attention does besides its two products: wider values, a key more, mixed heads."""
    rows, keys = batch * place.queries.size * place.heads, place.keys.size
    pairs = attention.differential is not None
    read = place.value * (2 if pairs else 1)
    dim = max(place.dim, read) if pairs else place.dim
    flops = 2 * rows * keys * (read - place.value + dim - place.dim)
    mixes = attention.talking_heads
    if mixes is not None:
        flops += 2 * rows * keys * place.heads * (2 if mixes.at == "both" else 1)
    elif attention.sinks is not None and attention.softcap is None:
        more = 2 if attention.sinks == "learned" else 0  # of queries and keys, of values
        flops += 2 * rows * ((keys + 1) * (dim + read + more) - keys * (dim + read))
    return flops


def _gates(attention: Attention, step: Step) -> int:
    """Return how many gates a position has."""
    if attention.gate is None:
        return 0
    value = attention.value_size(step.width)
    return attention.heads * value if attention.gate.per == "channel" else leaving(attention, value)[0]


def _kept(attention: Attention, step: Step, place: Place, memory: Tensor) -> Size:
    """Return what the backward pass needs besides the value before.

    PyTorch's fused attention keeps queries, keys, values, what it gives, the mask as numbers, and a number for each
    query and head. With dropout on the weights or a learned table added to the scores, a CPU writes the scores out.
    """
    here, there = step.x.positions, memory.positions
    q, k = here * attention.heads * place.dim, there * attention.groups * place.dim
    scores = here * attention.heads * place.keys.size
    kept = q  # what the last matrix takes
    if attention.dropout or (attention.position.adds and attention.position.learns):
        kept += q + 2 * there * attention.heads * place.dim + scores * (3 if attention.dropout else 1)
        kept += q + 2 * k if attention.qk_norm else 0
    else:
        kept += here * attention.heads + _mask(step)
        kept += _projected(attention, q, k)
    heads = here * attention.heads + there * attention.groups
    return kept + (attention.qk_norm.kept(heads, q + k) if attention.qk_norm is not None else 0)


def _projected(attention: Attention, q: Size, k: Size) -> Size:
    """Return what is kept of queries, keys and values: the projection, and those that are made anew from it."""
    if attention.kv is not None:
        return 2 * (q + 2 * k) if attention.qk_norm else q + 2 * k
    made = set(attention.bias.letters if attention.bias.letters != "qkv" else "")
    made |= set("qk") if attention.qk_norm or attention.position.turns else set()
    anew = sum(({"q": q, "k": k, "v": k}[each] for each in made), start=0)
    return anew if len(made) == 3 and not attention.qk_norm else q + 2 * k + anew


def _mask(step: Step) -> Size:
    """Return the elements of the mask that is added to the scores; positions that add to them have it put in."""
    roles = {each.role: each for each in step.shares}
    shared = None if "bias" in roles else roles.get("mask")
    if shared is None:
        return 0
    batch = prod(step.x.sizes[:-2], start=1) if shared.keys.keep is not None else 1
    return batch * shared.queries.size * shared.keys.size
