"""What one forward pass of attention costs, and what the backward pass needs of it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tfdsl.node import Size, Step, Work
from tfdsl.nodes.attention.positions import Place
from tfdsl.nodes.attention.seen import Blocks
from tfdsl.shapes import Tensor, either

if TYPE_CHECKING:
    from tfdsl.nodes.attention import Attention


def work(attention: Attention, step: Step) -> Work:
    """Return what one forward pass of attention costs."""
    memory = attention.memory(step)
    place, batch = attention.place(step.x, memory), prod(step.x.sizes[:-2], start=1)
    dim = place.dim
    q, k = attention.heads * dim, attention.groups * dim
    there, here = memory.positions, step.x.positions
    entering = 2 * here * step.width * q + 2 * there * memory.width * 2 * k
    products = attention.method.flops(place, batch)
    kept = _kept(attention, step, place, memory)
    blocks = attention.blocks(place)
    if blocks is not None:
        length, whole = place.queries.size, attention.mask.whole
        products = either(length, whole, 4 * batch * (blocks.pairs + blocks.rows * length) * q, products)
        kept = either(length, whole, _kept_in_blocks(attention, step, place, blocks), kept)
    leaving = 2 * here * q * step.width
    added, first = attention.position.work(place, batch), attention.mask.work(attention, place, batch, step.width)
    decodes = attention.kv is not None or attention.mask.decodes
    return Work(
        flops=entering + products + leaving + added.flops + first.flops,
        entering=entering + first.entering,
        fixed=added.fixed,
        kept=kept + added.kept + first.kept,
        cache=there * 2 * k if decodes else 0,
        needs=("x", "kv") if attention.kv is not None else ("x",),
    )


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
        kept += here * attention.heads + _mask(attention, step) + (q if attention.groups != attention.heads else 0)
        kept += _projected(attention, q, k)
    heads = here * attention.heads + there * attention.groups
    return kept + {None: 0, "rms": q + k + heads, "layer": 2 * heads}[attention.qk_norm]


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
    return kept + {None: 0, "rms": q + k + heads, "layer": 2 * heads}[attention.qk_norm]


def _projected(attention: Attention, q: Size, k: Size) -> Size:
    """Return what is kept of queries, keys and values: the projection, and those that are made anew from it."""
    if attention.kv is not None:
        return 2 * (q + 2 * k) if attention.qk_norm else q + 2 * k
    made = set(attention.bias.letters if attention.bias.letters != "qkv" else "")
    made |= set("qk") if attention.qk_norm or attention.position.turns else set()
    anew = sum(({"q": q, "k": k, "v": k}[each] for each in made), start=0)
    return anew if len(made) == 3 and not attention.qk_norm else q + 2 * k + anew


def _mask(attention: Attention, step: Step) -> Size:
    """Return the elements of the mask that is added to the scores; positions that add to them have it put in."""
    roles = {each.role: each for each in step.shares}
    shared = None if "bias" in roles else roles.get("mask")
    if shared is None:
        return 0
    tables = prod(step.x.sizes[:-2], start=1) if shared.keys.keep is not None else 1
    tables *= attention.heads if attention.mask.headed else 1
    return tables * shared.queries.size * shared.keys.size
