"""Generation: what a token costs, that the cache changes nothing, and what happens when the context is full."""

import pytest
import torch
from torch import Tensor

from tests.sampling.writing import write
from tests.training.gpt import GPT, Cache
from tfdsl.sampling import Decoder, Plan, generate
from tfdsl.sampling.draw import Stream
from tfdsl.sampling.generate import End, Text


class Counting(GPT):
    """A GPT that remembers its caches."""

    def __init__(self, context: int) -> None:
        torch.manual_seed(0)
        super().__init__(11, context=context)
        for weight in self.parameters():
            torch.nn.init.normal_(weight)
        self.caches: list[Cache] = []
        self.eval()

    def new_cache(self, length: int) -> Cache:
        """Return an empty cache, and remember it."""
        self.caches.append(super().new_cache(length))
        return self.caches[-1]


def slowly(model: GPT, tokens: list[int], length: int) -> list[int]:
    """Generate greedily from the whole prefix each time."""
    for _ in range(length):
        tokens = [*tokens, int(model(torch.tensor([tokens]))[0, -1].argmax())]
    return tokens[-length:]


def test_a_token_costs_one_position() -> None:
    model = Counting(context=32)
    drawn = list(write(model, [1, 2, 3, 4], length=10))
    assert len(drawn) == 10
    assert [cache.counted for cache in model.caches] == [[4] + [1] * 9]


def test_the_cache_changes_nothing() -> None:
    model = Counting(context=32)
    assert list(write(model, [1, 2, 3], length=20, greedy=True)) == slowly(model, [1, 2, 3], 20)


def test_a_full_context_ends_it() -> None:
    model = Counting(context=8)
    drawn = list(write(model, [1, 2, 3], length=20, greedy=True, context=8))
    assert drawn == slowly(model, [1, 2, 3], 6)  # the eighth position still foretells a ninth token
    assert sum(model.caches[0].counted) == 8


def test_a_full_context_slides() -> None:
    model = Counting(context=8)
    drawn = list(write(model, [1, 2, 3], length=20, greedy=True, context=8, slide=True))
    assert len(drawn) == 20
    text = [1, 2, 3, *drawn]
    assert drawn[:6] == slowly(model, [1, 2, 3], 6)
    assert text[9:14] == slowly(model, text[5:9], 5)  # four read again, then five more
    assert all(cache.counted == [4, 1, 1, 1, 1] for cache in model.caches[1:-1])


def test_a_long_prompt_is_read_from_its_end() -> None:
    model = Counting(context=8)
    text = [place % 11 for place in range(30)]
    assert list(write(model, text, length=1, greedy=True, context=8)) == slowly(model, text[-8:], 1)


def test_a_seed_repeats_and_another_does_not() -> None:
    model = Counting(context=64)
    one, two, other = (list(write(model, [1], length=40, temperature=3.0, seed=seed)) for seed in (5, 5, 6))
    assert one == two != other


def test_it_ends_with_a_token_that_ends_texts() -> None:
    model = Counting(context=32)
    drawn = slowly(model, [1, 2, 3], 20)
    plan = Plan(20, greedy=True, end=frozenset({drawn[5]}))
    found = list(generate(Decoder(model), [Text(0, [1, 2, 3], Stream(0))], plan))
    count = drawn.index(drawn[5]) + 1
    assert [each.token for each in found] == drawn[:count]
    assert [each.end for each in found] == [None] * (count - 1) + ["end"]


@pytest.mark.parametrize(("length", "context", "end"), [(6, 8, "length"), (5, 8, "length"), (9, 8, "context")])
def test_the_last_token_says_why_it_is_the_last(length: int, context: int, end: End) -> None:
    found = list(generate(Decoder(Counting(8)), [Text(0, [1, 2, 3], Stream(0))], Plan(length, context=context)))
    assert [each.end for each in found] == [None] * (min(length, 6) - 1) + [end]


def test_nothing_to_start_from_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        next(write(Counting(context=8), [], length=1))


def test_the_first_token_comes_before_the_second_is_computed() -> None:
    model = Counting(context=32)
    drawn = write(model, [1, 2], length=10)
    next(drawn)
    assert sum(model.caches[0].counted) == 2


def test_no_gradients_are_kept() -> None:
    seen: list[bool] = []

    class Watching(Counting):
        def forward(self, tokens_BT: Tensor, cache: Cache | None = None) -> Tensor:
            seen.append(torch.is_grad_enabled())
            return super().forward(tokens_BT, cache)

    list(write(Watching(context=8), [1], length=3))
    assert seen == [False, False, False]
    assert torch.is_grad_enabled()
