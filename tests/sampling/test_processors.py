"""Processors against definitions written another way, and draws against their probabilities."""

import math
from collections import Counter
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tfdsl import settings as chosen
from tfdsl.sampling.chain import Seen, chain
from tfdsl.sampling.draw import draw, likeliest
from tfdsl.sampling.processors import temper, top_k, top_p

# Few distinct values, so that ties are common.
LOGITS = st.lists(st.sampled_from([-3.0, -1.0, 0.0, 0.5, 2.0, 2.25]), min_size=1, max_size=12)


def kept(logits_V: torch.Tensor) -> set[int]:
    return {token for token, logit in enumerate(logits_V.tolist()) if logit > -math.inf}


def choose(logits: torch.Tensor, points: list[float], **fields: Any) -> list[int]:
    """Return what is drawn from one row at each point, behind the chain that the settings ask for."""
    logits_BV = logits.expand(len(points), -1)
    for stage in chain(chosen.Sample.model_validate(fields)):
        logits_BV = stage.apply(Seen(torch.zeros(len(points), 1, dtype=torch.long), 0), logits_BV)
    return draw(logits_BV, points)


def ranked(logits: list[float]) -> list[int]:
    return sorted(range(len(logits)), key=lambda token: (-logits[token], token))


@settings(max_examples=300, deadline=None)
@given(LOGITS, st.integers(1, 14))
def test_top_k_is_the_first_k_of_the_ranking(logits: list[float], k: int) -> None:
    result = top_k(torch.tensor(logits), k)
    assert kept(result) == set(ranked(logits)[:k])
    assert all(result[token] == logits[token] for token in kept(result))


@settings(max_examples=300, deadline=None)
@given(LOGITS, st.floats(0.001, 0.999))
def test_top_p_is_the_shortest_ranking_that_reaches_p(logits: list[float], p: float) -> None:
    total = math.fsum(math.exp(logit) for logit in logits)
    expected: list[int] = []
    for token in ranked(logits):
        expected.append(token)
        reached = math.fsum(math.exp(logits[other]) for other in expected) / total
        if abs(reached - p) < 1e-9:
            return  # too close to call in floating point
        if reached >= p:
            break
    assert kept(top_p(torch.tensor(logits, dtype=torch.float64), p)) == set(expected)


def test_top_p_of_many_flat_scores_is_the_shortest_ranking_that_reaches_p() -> None:
    """Where the first few do not hold `p`, with ties, tokens that are ruled out, and several rows."""
    logits_BV = torch.randn(3, 2000, generator=torch.Generator().manual_seed(0)).mul(4).round().div(8)
    logits_BV[0, 5:900] = -math.inf
    for p in (0.5, 0.7, 0.95, 0.9999):
        for row, left in zip(logits_BV, top_p(logits_BV, p), strict=True):
            order = ranked(row.tolist())
            reached = row.double()[order].softmax(0).cumsum(0)
            count = 1 + int((reached[:-1] < p).sum())
            assert kept(left) == set(order[:count]) and count > 256


def test_top_p_of_nothing_leaves_the_likeliest() -> None:
    assert kept(top_p(torch.tensor([0.0, 3.0, 3.0]), 1e-9)) == {1}


@settings(max_examples=100, deadline=None)
@given(LOGITS, st.floats(0, 1, exclude_max=True))
def test_a_draw_inverts_the_cumulated_probabilities(logits: list[float], point: float) -> None:
    (token,) = draw(torch.tensor([logits], dtype=torch.float64), [point])
    total = math.fsum(map(math.exp, logits))
    below = math.fsum(map(math.exp, logits[:token])) / total
    above = math.fsum(map(math.exp, logits[: token + 1])) / total
    assert below - 1e-12 <= point <= above + 1e-12


def test_a_masked_token_is_never_drawn() -> None:
    logits = torch.tensor([-torch.inf, 1.0, -torch.inf, 1.0, -torch.inf])
    points = [0.0, 0.5 - 2**-54, 0.5, 1 - 2**-53]
    assert draw(logits.expand(4, -1), points) == [1, 1, 3, 3]


def test_a_temperature_near_zero_overflows_nothing() -> None:
    assert temper(torch.tensor([1e4, -1e4, 1e4 - 1]), 1e-40).tolist() == [0.0, -math.inf, -math.inf]
    assert choose(torch.tensor([5.0, 9.0, 1.0]), [0.999], temperature=1e-40) == [1]
    assert likeliest(torch.tensor([[5.0, 9.0, 1.0], [3.0, 3.0, 1.0]])) == [1, 0]


def test_draws_have_their_probabilities() -> None:
    """Pearson's chi-square with 7 degrees of freedom stays below 24.3 in 999 of 1,000 experiments."""
    logits, times = torch.tensor([2.0, 1.0, 0.5, 0.0, -0.5, 1.5, 0.25, -1.0, -4.0]), 20_000
    points = torch.rand(times, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = Counter(choose(logits, points.tolist(), temperature=1.3, top_k=8))
    weights = [math.exp(logit / 1.3) for logit in logits.tolist()[:8]]
    expected = [times * weight / sum(weights) for weight in weights]
    assert sum((counts[token] - mean) ** 2 / mean for token, mean in enumerate(expected)) < 24.3
    assert counts.keys() == set(range(8))


def test_temperature_comes_before_top_p() -> None:
    """At temperature 4 the two highest of these no longer hold nine tenths."""
    logits, points = torch.tensor([4.0, 3.0, 0.0, 0.0]), [point / 100 for point in range(100)]
    assert set(choose(logits, points, temperature=4.0, top_p=0.9)) == {0, 1, 2, 3}
    assert set(choose(logits, points, temperature=1.0, top_p=0.9)) == {0, 1}
