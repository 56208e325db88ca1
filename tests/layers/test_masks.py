"""Masks against their rules, a pair of places at a time, and the blocks of long sequences against the masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.layers.test_attention import values
from tfdsl.layers.masks import causal_table, chunk_table, prefix_table, step_table, window_table
from tfdsl.layers.plan import drawn, sparse_plan, sparse_table
from tfdsl.layers.sparse import SparseBlocks
from tfdsl.layers.windows import Chunks, Strides, Windows

Rule = Callable[[int, int], bool]
Table = Callable[..., Tensor]
B, HEADS, GROUPS, K = 2, 4, 2, 6

RULES: dict[str, tuple[Rule, Table, dict[str, int | bool]]] = {
    "causal": (lambda i, j: j <= i, causal_table, {}),
    "sliding": (lambda i, j: 0 <= i - j < 4, causal_table, {"window": 4}),
    "symmetric": (lambda i, j: abs(i - j) < 4, window_table, {"window": 4}),
    "sinks": (lambda i, j: j <= i and (i - j < 4 or j < 2), causal_table, {"window": 4, "tokens": 2}),
    "global": (lambda i, j: abs(i - j) < 4 or i < 2 or j < 2, window_table, {"window": 4, "tokens": 2}),
    "prefix": (lambda i, j: j <= i or j < 5, prefix_table, {"length": 5}),
    "chunked": (lambda i, j: j <= i and i // 4 == j // 4, chunk_table, {"size": 4}),
    "chunks": (lambda i, j: i // 4 == j // 4, chunk_table, {"size": 4, "causal": False}),
    "dilated": (lambda i, j: i - j in (0, 3, 6), step_table, {"window": 3, "step": 3}),
    "strides": (lambda i, j: abs(i - j) in (0, 3, 6), step_table, {"window": 3, "step": 3, "causal": False}),
}


@pytest.mark.parametrize("name", RULES)
def test_a_table_is_its_rule(name: str) -> None:
    rule, table, named = RULES[name]
    wanted = torch.tensor([[rule(i, j) for j in range(17)] for i in range(17)])
    assert torch.equal(table(torch.zeros(1, 17, 1), **named), wanted)
    if table is not window_table and named.get("causal", True):
        for start in (5, 6, 16):  # behind what a cache holds
            assert torch.equal(table(torch.zeros(1, 17 - start, 1), start, **named), wanted[start:])


def test_a_prefix_comes_in_one_piece() -> None:
    with pytest.raises(ValueError, match="the first 5 positions see each other: the first forward must hold all"):
        prefix_table(torch.zeros(1, 2, 1), 4, length=5)


BLOCKS: dict[str, tuple[nn.Module, str]] = {
    "sliding": (Windows(4, 3, 3, grouped=True), "sliding"),
    "sliding, more keys than a window has": (Windows(4, 5, 8, grouped=True), "sliding"),
    "symmetric": (Windows(4, 3, 3, 3, grouped=True), "symmetric"),
    "sinks": (Windows(4, 3, 3, tokens=2, grouped=True), "sinks"),
    "global": (Windows(4, 3, 3, 3, tokens=2, rows=True, grouped=True), "global"),
    "chunked": (Chunks(4, grouped=True), "chunked"),
    "chunks": (Chunks(4, causal=False, grouped=True), "chunks"),
    "dilated": (Strides(3, Windows(3, 2, 2, grouped=True)), "dilated"),
    "strides": (Strides(3, Windows(3, 2, 2, 2, grouped=True)), "strides"),
}
PADDING = {"none": (0, 0), "left": (5, 0), "right": (0, 7)}


def heads(length: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (values(B, count, length, K, seed=seed) for seed, count in ((1, HEADS), (2, GROUPS), (3, GROUPS)))
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_()


def agree(blocks: nn.Module, may: Tensor, length: int, padding: str) -> None:
    """Compare blocks with one table: what they give, and the gradients, where positions are real."""
    left, right = PADDING[padding]
    keep = torch.ones(B, length, dtype=torch.bool)
    keep[0, :left] = False
    keep[0, length - right :] = False
    mask = keep[:, None, None] if padding != "none" else torch.ones(1, 1, dtype=torch.bool)
    given = heads(length)
    found = blocks(*given, mask) * keep[:, None, :, None]
    wanted = F.scaled_dot_product_attention(*given, attn_mask=may & mask, enable_gqa=True) * keep[:, None, :, None]
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    weights = values(*found.shape, seed=4)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), given),
        torch.autograd.grad((wanted * weights).sum(), given),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("length", [24, 37])
def test_blocks_give_what_the_table_gives(name: str, padding: str, length: int) -> None:
    blocks, rule = BLOCKS[name]
    may = torch.tensor([[RULES[rule][0](i, j) for j in range(length)] for i in range(length)])
    agree(blocks, may, length, padding)


SPARSE: dict[str, Any] = {
    "one at either end": {"local": 3, "first": 1, "random": 2},
    "two at either end": {"local": 5, "first": 2, "random": 1},
    "none at the ends": {"local": 3, "first": 0, "random": 2},
    "nothing drawn": {"local": 1, "first": 1, "random": 0},
    "causal": {"local": 2, "first": 1, "random": 2, "causal": True},
}


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("length", [48, 53])
def test_sparse_blocks_give_what_the_table_gives(name: str, padding: str, length: int) -> None:
    options: Any = {"seed": 3, **SPARSE[name]}
    table = sparse_table(torch.zeros(1, length, 1), heads=GROUPS, block=4, shared=2, **options)
    agree(SparseBlocks(4, grouped=True, **options), table, length, padding)


@pytest.mark.parametrize("causal", [False, True])
def test_a_plan_is_what_the_paper_says(causal: bool) -> None:
    """Zaheer et al. 2020, section 2: near blocks, the first and the last, and `random` that are neither."""
    blocks, local, first, random = 19, 3, 2, 2
    plan = sparse_plan(blocks, 3, local, first, random, 7, causal, torch.zeros(1))
    for i in range(blocks):
        near = range(i - local + 1, i + 1) if causal else range(i - 1, i + 2)
        edges = range(first) if causal else (*range(first), *range(blocks - first, blocks))
        sure = {j for j in (*near, *edges) if 0 <= j < (i + 1 if causal else blocks)}
        if not causal and i in edges:
            sure = set(range(blocks))
        others = (i + 1 if causal else blocks) - len(sure)
        for head in range(3):
            seen = set(plan[head, i].nonzero().flatten().tolist())
            assert sure <= seen
            assert len(seen) == len(sure) + min(random, others)
            assert max(seen) <= (i if causal else blocks)
    assert len({tuple(each.flatten().tolist()) for each in plan}) == 3  # a draw for each head


def test_a_draw_is_even_and_the_same_again() -> None:
    legal = torch.ones(64, 64, dtype=torch.bool)
    once, again, other = (drawn(legal, 16, 4, seed) for seed in (0, 0, 1))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    counts = once.sum((0, 1)).double()  # 1,024 rows, 4 of 64 each: 64 of every block, give or take 8
    assert 40 < counts.min() < counts.max() < 96
    assert torch.equal(drawn(torch.ones(20, 20, dtype=torch.bool).tril(), 2, 3, 5)[:, :9, :9],
                       drawn(torch.ones(9, 9, dtype=torch.bool).tril(), 2, 3, 5))  # fmt: skip


def test_a_causal_plan_does_not_change_as_the_sequence_grows() -> None:
    long, short = (sparse_plan(count, 2, 2, 1, 2, 0, True, torch.zeros(1)) for count in (30, 11))
    assert torch.equal(long[:, :11, :11], short)


def test_a_short_sequence_sees_all() -> None:
    x = torch.zeros(1, 36, 1)
    assert sparse_table(x, heads=2, block=4, full=36).all()
    assert not sparse_table(x, heads=2, block=4, full=35, random=0).all()


def test_the_first_block_counts_again() -> None:
    """What transformers' BigBird does when it does not train: the keys of the first block stand 1 + r times."""
    length, (q, k, v) = 40, heads(40)
    found = SparseBlocks(4, local=3, first=1, random=0, again=2, grouped=True)(q, k, v, torch.ones(1, 1).bool())
    table = sparse_table(torch.zeros(1, length, 1), heads=1, block=4, local=3, first=1, random=0)[0, 0]
    times = table.double()
    times[4:-4, :4] = 3
    wanted = F.scaled_dot_product_attention(q, k, v, attn_mask=times.log(), enable_gqa=True)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
