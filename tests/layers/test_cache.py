"""What a cache keeps: entries that grow, the last few positions, a state of constant size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tfdsl.layers.cache import Cache

CUTS = ([7], [1] * 7, [3, 1, 2, 1], [1, 6])


def values(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def summed(x_BTD: Tensor, cache: Cache) -> Tensor:
    """Return running sums: a layer whose state is the sum so far."""
    total_BTD = x_BTD.cumsum(1)
    before_BD = cache.state(x_BTD)
    if before_BD is not None:
        total_BTD = total_BTD + before_BD.unsqueeze(1)
    cache.put(total_BTD[:, -1])
    return total_BTD


@pytest.mark.parametrize("cuts", CUTS)
def test_entries_of_every_sort_in_turn_and_any_chunks(cuts: list[int]) -> None:
    x, cache, made = values(2, 7, 3), Cache(7), list[tuple[Tensor, ...]]()
    for part in x.split(cuts, dim=1):
        first = summed(part, cache)
        near = cache.tail(part, 1, 2)
        every = cache.extend(part, 1).clone()
        made.append((first, near.unfold(1, 3, 1).sum(-1), every, summed(2 * part, cache)))
        cache.advance()
        assert every.size(1) == cache.position
    assert (cache.position, len(cache.entries)) == (7, 4)
    firsts, nears, _, lasts = zip(*made, strict=True)
    torch.testing.assert_close(torch.cat(firsts, 1), x.cumsum(1))
    torch.testing.assert_close(torch.cat(lasts, 1), 2 * x.cumsum(1))
    padded = torch.nn.functional.pad(x, (0, 0, 2, 0))
    torch.testing.assert_close(torch.cat(nears, 1), padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:])


def test_what_does_not_grow_holds_no_more_than_it_needs_and_has_no_end() -> None:
    cache = Cache(3)
    for _ in range(5):
        summed(values(2, 2, 4), cache)
        cache.tail(values(2, 2, 4), 1, 3)
        cache.advance()
    assert cache.position == 10
    assert [entry.shape for entry in cache.entries] == [(2, 4), (2, 3, 4)]
    assert cache.entries[1].untyped_storage().nbytes() == 2 * 3 * 4 * 8


def test_positions_are_counted_where_nothing_grows() -> None:
    for use in (lambda cache, x: cache.tail(x, 1, 2), summed_after):
        cache = Cache(0)
        use(cache, values(1, 4, 2))
        cache.advance()
        assert cache.position == 4


def summed_after(cache: Cache, x: Tensor) -> Tensor:
    return summed(x, cache)
