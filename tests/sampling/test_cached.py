"""What the sampler does with caches: rows picked, positions forgotten, bytes counted, whatever the layers keep."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import tfdsl
from tfdsl.sampling import cached

HEAD = "tfdsl: 1\nname: m\ninputs: {t: {shape: [B, T], vocab: 40}}\n"
PIPES = {
    "causal": "{attention: {heads: 2, mask: causal, position: rope}}",
    "sliding": "{attention: {heads: 2, mask: {type: sliding, window: 4}, position: rope}}",
    "recurrent": "{mamba2: {heads: 2, head_dim: 4, state: 3}}",
    "latent": "{latent_attention: {heads: 2, kv_rank: 6, head_dim: 4, rope_dim: 2}}",
    "both": "{short_conv: {size: 3}}, {attention: {heads: 2, mask: causal}}",
}


def built(pipe: str) -> Any:
    torch.manual_seed(1)
    text = f"{HEAD}model: [embed: {{from: t, width: 8}}, {pipe}, unembed: {{width: 40}}]"
    return tfdsl.build(tfdsl.check(text)).double().eval()


def tokens(rows: int, length: int) -> Tensor:
    return torch.randint(40, (rows, length), generator=torch.Generator().manual_seed(2))


def near(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("pipe", PIPES.values(), ids=PIPES)
@torch.no_grad()
def test_rows_go_on_in_any_order_and_number(pipe: str) -> None:
    model, seen, rows = built(pipe), tokens(3, 9), torch.tensor([2, 0, 2, 2])
    cache = model.new_cache(9)
    model(seen[:, :6], cache=cache)
    cached.pick(cache, rows)
    near(model(seen[rows, 6:], cache=cache), model(seen[rows])[:, 6:])


@pytest.mark.parametrize("pipe", PIPES.values(), ids=PIPES)
@pytest.mark.parametrize("count", [1, 3, 5])
@torch.no_grad()
def test_positions_are_forgotten(pipe: str, count: int) -> None:
    model, seen, wrong = built(pipe), tokens(2, 14), tokens(2, 20)[:, 14:]
    cache = model.new_cache(14)
    model(seen[:, :7], cache=cache)
    mark = cached.mark(cache)
    model(torch.cat((seen[:, 7 : 13 - count], wrong[:, :count]), 1), cache=cache)
    again = cached.back(cache, mark, count)
    assert cache.position + again == 13 - count
    if again:
        model(seen[:, 7 : 13 - count], cache=cache)
    near(model(seen[:, 13 - count :], cache=cache), model(seen)[:, 13 - count :])


@torch.no_grad()
def test_what_is_read_again_and_what_is_not() -> None:
    found = {}
    for name, pipe in PIPES.items():
        model, cache = built(pipe), None
        cache = model.new_cache(9)
        model(tokens(1, 4), cache=cache)
        mark = cached.mark(cache)
        model(tokens(1, 5), cache=cache)
        found[name] = cached.back(cache, mark, 2)
    assert found == {"causal": 0, "sliding": 0, "recurrent": 3, "latent": 0, "both": 3}


def test_no_more_is_forgotten_than_was_read() -> None:
    model = built(PIPES["causal"])
    cache = model.new_cache(9)
    mark = cached.mark(cache)
    model(tokens(1, 4), cache=cache)
    with pytest.raises(ValueError, match="5 positions cannot be forgotten: 4 came since the mark"):
        cached.back(cache, mark, 5)


@torch.no_grad()
def test_a_forward_that_raised_leaves_no_trace() -> None:
    model, seen = built(PIPES["both"]), tokens(2, 8)
    cache = model.new_cache(8)
    model(seen[:, :5], cache=cache)
    mark = cached.mark(cache)
    with pytest.raises(ValueError, match="the cache has room for 8, not 9 positions"):
        model(tokens(2, 4), cache=cache)
    assert cached.back(cache, mark, 0) == 0
    near(model(seen[:, 5:], cache=cache), model(seen)[:, 5:])


def test_bytes_are_those_of_the_memory_behind() -> None:
    both = torch.zeros(4, 6)
    cache: Any = type("Cache", (), {"entries": [both, (both[:2], torch.zeros(3, dtype=torch.bool)), {"a": None}]})
    assert cached.size(cache) == 4 * 6 * 4 + 3


LENGTHENED = {
    "dynamic": (
        "{attention: {heads: 2, mask: causal, position: {type: rope, scaling: {type: dynamic, factor: 2, length: 6}}}}",
        6,
        8,
    ),
    "longrope": (
        "{attention: {heads: 2, mask: causal, position: {type: rope, scaling: {type: longrope, factor: 2, length: 6, "
        "short: [1, 1], long: [2, 3]}}}}",
        6,
        8,
    ),
    "prefix": ("{short_conv: {size: 3}}, {attention: {heads: 2, mask: {type: prefix, length: 6}}}", 3, 8),
}


@pytest.mark.parametrize("name", LENGTHENED)
@torch.no_grad()
def test_what_needs_all_at_once_says_so_and_leaves_the_cache_whole(name: str) -> None:
    """Angles that change with the length, and a prefix that sees itself: all is read again, in a new cache."""
    pipe, first, end = LENGTHENED[name]
    model, seen = built(pipe), tokens(2, 12)
    cache = model.new_cache(12)
    before = model(seen[:, :first], cache=cache)
    mark = cached.mark(cache)
    with pytest.raises(ValueError, match="positions"):
        model(seen[:, first:end], cache=cache)
    assert (cached.back(cache, mark, 0), cache.position, len(cache.entries)) == (0, first, len(mark.entries))
    near(before, model(seen[:, :first]))
    again = model.new_cache(12)
    near(model(seen[:, :end], cache=again), model(seen[:, :end]))
