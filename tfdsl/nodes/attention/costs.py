"""What one forward pass of attention costs, and what the backward pass needs of it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tfdsl.node import Size, Step, Work
from tfdsl.nodes.attention.kept import kept as kept_of
from tfdsl.nodes.attention.layer import leaving
from tfdsl.nodes.attention.positions import Place
from tfdsl.nodes.attention.seen import Blocks
from tfdsl.shapes import either

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
    near = attention.near(place)
    makes = 0 if attention.reuse is not None else k + (v if attention.values == "own" else 0)
    asking, reading = 2 * here * step.width * (q + _gates(attention, step)), 2 * there * memory.width * makes
    entering = asking if attention.kv is not None else asking + reading
    products = attention.method.flops(place, batch) + _extra(attention, place, batch)
    out = 2 * here * read * step.width
    kept = kept_of(attention, step, place, memory)
    blocks, method = attention.blocks(place), attention.method.work(place, batch)
    if blocks is not None:
        length, whole = place.queries.size, attention.mask.whole
        products = either(length, whole, 4 * batch * (blocks.pairs + blocks.rows * length) * q, products)
        kept = either(length, whole, _kept_in_blocks(attention, step, place, blocks), kept)
    elif method is not None:
        products, kept = method.flops, method.kept + _made(attention, step, place)
    added, first = attention.position.work(place, batch), attention.mask.work(attention, place, batch, step.width)
    decodes = attention.reuse is None and (attention.kv is not None or attention.mask.decodes)
    cache = (there if near is None else batch * near.rows(place.keys.size)) * (k + v) if decodes else 0
    cache += there * _anew(attention, k, v) if attention.kv is not None else 0
    return Work(
        flops=asking + reading + products + out + added.flops + first.flops,
        entering=entering + first.entering,
        reading=reading if attention.kv is not None else 0,
        fixed=added.fixed + (method.fixed if method is not None else 0),
        kept=kept + added.kept + first.kept,
        cache=cache if method is None else method.cache,
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


def _anew(attention: Attention, k: int, v: int) -> int:
    """Return how many features of a position are there twice in what cross-attention keeps of its source.

    One product makes keys and values; where one of them is then made anew and the other is not, all of it stays.
    """
    letters = attention.bias.letters.replace("q", "")
    keys = letters == "k" or attention.qk_norm is not None
    values = letters == "v" or attention.v_norm is not None
    if attention.clip_qkv is not None or keys == values:
        return 0
    return k if keys else v


def _gates(attention: Attention, step: Step) -> int:
    """Return how many gates a position has."""
    if attention.gate is None:
        return 0
    value = attention.value_size(step.width)
    return attention.heads * value if attention.gate.per == "channel" else leaving(attention, value)[0]


def _made(attention: Attention, step: Step, place: Place) -> Size:
    """Return what is kept of what the last matrix takes, and of norms of queries and keys."""
    q, k = (step.x.positions * count * place.dim for count in (place.heads, place.groups))
    heads = step.x.positions * (place.heads + place.groups)
    return q + (attention.qk_norm.kept(heads, q + k) if attention.qk_norm is not None else 0)


def _kept_in_blocks(attention: Attention, step: Step, place: Place, blocks: Blocks) -> Size:
    """Return what the backward pass needs where long sequences are taken in blocks.

    The blocks have queries, keys and values of their own, and a mask; then what all read together is put in its place.
    """
    batch, dim, here = prod(step.x.sizes[:-2], start=1), place.dim, step.x.positions
    q, k = here * attention.heads * dim, here * attention.groups * dim
    heads = here * (attention.heads + attention.groups)
    each = place.heads if attention.dropout else place.groups
    kept = q + batch * (blocks.queries * place.heads + 2 * blocks.keys * each) * dim + 2 * batch * blocks.drawn
    if attention.dropout:
        kept += 3 * batch * (blocks.pairs + blocks.rows * place.keys.size) * place.heads
    else:
        hidden = blocks.hidden if place.keys.keep is None else blocks.padded
        kept += batch * (blocks.queries * place.heads * (dim + 1) + hidden)
    if attention.qk_norm is not None or blocks.rows != 0:
        kept += q + 2 * k
    if blocks.rows != 0:
        # These read all keys, and what they give is put before the rest.
        kept += 2 * batch * blocks.rows * place.heads * dim
        kept += q + k if attention.qk_norm or attention.position.turns else 0
    return kept + (attention.qk_norm.kept(heads, q + k) if attention.qk_norm is not None else 0)
