"""The chain: what each setting does to the scores, in which order, and draws that have the chances it leaves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tfdsl.sampling import processors
from tfdsl.sampling.banning import Banned
from tfdsl.sampling.chain import Processor, Seen, chain
from tfdsl.sampling.draw import Undrawable, draw, likeliest
from tfdsl.sampling.words import UNSAID, Words
from tfdsl.settings import Sample

LETTERS = [bytes([97 + token]) for token in range(6)]


def done(
    logits: Tensor,
    text: Sequence[int] = (),
    drawn: int = 0,
    words: Words = UNSAID,
    own: Sequence[Processor] = (),
    **chosen: Any,
) -> list[float]:
    """Return the scores of one row behind the chain, rounded; `text` is what stands before, the last `drawn` drawn."""
    for stage in chain(Sample(temperature=0, **chosen), words, (5,), LETTERS, own):
        logits = stage.apply(Seen(torch.tensor([list(text)], dtype=torch.long), drawn), logits.view(1, -1))
    return [round(each, 5) for each in logits.flatten().tolist()]


FLAT = torch.tensor([2.0, -2.0, 0.0, 1.0, -1.0, 0.5])


def test_penalties_are_their_formulas() -> None:
    assert done(FLAT, [0, 1, 0], repetition_penalty=2.0) == [1.0, -4.0, 0.0, 1.0, -1.0, 0.5]
    assert done(FLAT, [0, 1, 0, 3, 3], drawn=3, presence_penalty=0.5) == [1.5, -2.0, 0.0, 0.5, -1.0, 0.5]
    assert done(FLAT, [0, 1, 0, 3, 3], drawn=3, frequency_penalty=0.5) == [1.5, -2.0, 0.0, 0.0, -1.0, 0.5]
    assert done(FLAT, [0, 1, 0, 3, 3], drawn=0, frequency_penalty=0.5, presence_penalty=1.0) == FLAT.tolist()
    assert done(FLAT, [-1, 0, 3], drawn=3, presence_penalty=-1.0) == [3.0, -2.0, 0.0, 2.0, -1.0, 0.5]


def test_a_bias_adds_what_it_says_whatever_the_penalties_are() -> None:
    words = Words(bias=((1, 4.0), (3, -1.0), (3, -1.0)))
    assert done(FLAT, [1], words=words, repetition_penalty=2.0) == [2.0, 0.0, 0.0, -1.0, -1.0, 0.5]


def test_what_may_not_be_written() -> None:
    gone = -math.inf
    assert done(FLAT, words=Words(banned=(0, 2))) == [gone, -2.0, gone, 1.0, -1.0, 0.5]
    assert done(FLAT, [3, 0, 1], words=Words(banned_runs=((0, 1, 2), (1, 4), (0, 5)))) == [
        2.0,
        -2.0,
        gone,
        1.0,
        gone,
        0.5,
    ]
    assert done(FLAT, [3, 0, 1], words=Words(banned_texts=("abc", "be", "af"))) == [2.0, -2.0, gone, 1.0, gone, 0.5]
    assert done(FLAT, [0], drawn=1, min_length=2) == [2.0, -2.0, 0.0, 1.0, -1.0, gone]
    assert done(FLAT, [0, 0], drawn=2, min_length=2) == FLAT.tolist()
    words = Words(forced=(4, 1), banned=(4,))
    assert done(FLAT, [0, 4], drawn=1, words=words) == [gone, 0.0, gone, gone, gone, gone]
    assert done(FLAT, [0], drawn=0, words=words) == [gone, gone, gone, gone, 0.0, gone]
    assert done(FLAT, [0, 4, 1], drawn=2, words=words) == [2.0, -2.0, 0.0, 1.0, gone, 0.5]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text("aé€", min_size=1, max_size=3), min_size=1, max_size=8, unique=True),
    st.text("aé€", min_size=1, max_size=3),
    st.lists(st.integers(0, 10**6), max_size=12),
)
def test_a_banned_text_is_never_written_in_any_tokens(pieces: list[str], text: str, choices: list[int]) -> None:
    """Tokens that cut characters are among them: whatever is chosen of what is left, the text is not in it."""
    raw = [*(piece.encode() for piece in pieces), *(bytes([byte]) for byte in "aé€".encode())]
    banned, tokens = Banned(text, raw), list[int]()
    for choice in choices:
        ruled = set(banned.ruled(tokens))
        for token in ruled:  # nothing is ruled out that would not hold the text
            assert text.encode() in b"".join(raw[each] for each in [*tokens, token])
        left = [token for token in range(len(raw)) if token not in ruled]
        if not left:
            break
        tokens.append(left[choice % len(left)])
        assert text.encode() not in b"".join(raw[each] for each in tokens)


def test_sigma_is_that_of_the_scores_that_are_left() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0, -math.inf, 10.0], [1e30, -1e30, 0.0, 0.0, 0.0, 0.0]])
    found = processors.top_n_sigma(logits, 2)
    sigma = torch.tensor([0.0, 1.0, 2.0, 3.0, 10.0]).double().std(correction=0)
    assert (found[0] > -math.inf).tolist() == [each >= 10 - 2 * sigma for each in [0, 1, 2, 3, -math.inf, 10]]
    assert (found[1] > -math.inf).tolist() == [True, False, True, True, True, True]
    assert torch.equal(processors.top_n_sigma(logits * 0.3, 2) > -math.inf, found > -math.inf)


def test_the_chain_is_named_in_its_order() -> None:
    def louder(tokens_BT: Tensor, logits_BV: Tensor) -> Tensor:
        return logits_BV * 2

    chosen = Sample(
        top_k=3, top_p=0.9, min_p=0.1, typical_p=0.9, top_n_sigma=1, temperature=0.7, min_length=2,
        repetition_penalty=1.2, presence_penalty=0.1, frequency_penalty=0.2,
    )  # fmt: skip
    words = Words(((1, 2.0),), (2,), ((1, 2),), ("ab",), (3, 4))
    assert [stage.name for stage in chain(chosen, words, (5,), LETTERS, [louder])] == [
        "repetition_penalty 1.2",
        "presence_penalty 0.1",
        "frequency_penalty 0.2",
        "logit_bias of 1 token",
        "banned 1 token",
        "banned 1 run of tokens",
        "banned 1 text",
        "min_length 2",
        "forced 2 tokens",
        "louder",
        "temperature 0.7",
        "top_n_sigma 1",
        "top_k 3",
        "top_p 0.9",
        "min_p 0.1",
        "typical_p 0.9",
    ]
    assert chain(Sample(greedy=True)) == () == chain(Sample(temperature=0))
    assert done(FLAT, own=[louder]) == (2 * FLAT).tolist()


def test_scores_that_are_no_numbers_and_nothing_left_are_told() -> None:
    for logits in (torch.tensor([[0.0, math.nan]]), torch.tensor([[-math.inf, -math.inf]])):
        with pytest.raises(Undrawable):
            draw(processors.temper(logits, 1.0), [0.5])
        with pytest.raises(Undrawable):
            likeliest(logits)


@pytest.mark.parametrize(
    "chosen",
    [
        {"temperature": 0.6},
        {"temperature": 1.5, "top_k": 5},
        {"top_p": 0.8},
        {"min_p": 0.2, "temperature": 2.0},
        {"typical_p": 0.7},
        {"top_n_sigma": 1.0},
        {"temperature": 1.2, "top_k": 7, "top_p": 0.95, "min_p": 0.05},
    ],
    ids=str,
)
def test_draws_have_the_chances_that_the_chain_leaves(chosen: dict[str, Any]) -> None:
    """Pearson's chi-square stays below its 999th permille; the chances are worked out in plain Python."""
    logits, times = [2.0, 1.0, 0.5, 0.0, -0.5, 1.5, 0.25, -1.0, -0.75, 2.5], 20_000
    points = torch.rand(times, generator=torch.Generator().manual_seed(7), dtype=torch.float64).tolist()
    logits_BV = torch.tensor(logits).expand(times, -1)
    for stage in chain(Sample(**chosen)):
        logits_BV = stage.apply(Seen(torch.zeros(times, 0, dtype=torch.long), 0), logits_BV)
    counts, wanted = Counter(draw(logits_BV, points)), expected(logits, **chosen)
    assert set(counts) == set(wanted)
    square = sum((counts[token] - times * chance) ** 2 / (times * chance) for token, chance in wanted.items())
    freedom = len(wanted) - 1
    # Wilson and Hilferty, 1931: the cube root of a chi-square over its freedom is nearly normal.
    assert square < freedom * (1 - 2 / (9 * freedom) + 3.09 * math.sqrt(2 / (9 * freedom))) ** 3


def expected(
    logits: list[float],
    temperature: float = 1.0,
    top_n_sigma: float | None = None,
    top_k: int | None = None,
    top_p: float = 1.0,
    min_p: float = 0.0,
    typical_p: float = 1.0,
) -> dict[int, float]:
    """Return the chances of the tokens that are left, by the filters' definitions."""
    found = normal({token: math.exp(logit / temperature) for token, logit in enumerate(logits)})
    if top_n_sigma is not None:
        mean = sum(logits) / len(logits)
        sigma = math.sqrt(sum((each - mean) ** 2 for each in logits) / len(logits))
        found = normal({token: found[token] for token in found if logits[token] >= max(logits) - top_n_sigma * sigma})
    ranked = sorted(found, key=lambda token: (-found[token], token))
    found = reaching(found, ranked[: top_k or len(ranked)], 1.0)
    found = reaching(found, [token for token in ranked if token in found], top_p)
    found = normal({token: chance for token, chance in found.items() if chance >= min_p * max(found.values())})
    entropy = -sum(chance * math.log(chance) for chance in found.values())
    return reaching(found, sorted(found, key=lambda token: abs(-math.log(found[token]) - entropy)), typical_p)


def reaching(chances: dict[int, float], ranked: list[int], p: float) -> dict[int, float]:
    """Return the first of the ranked ones that hold `p` together."""
    kept: dict[int, float] = {}
    for token in ranked:
        if p == 1 or sum(kept.values()) < p:
            kept[token] = chances[token]
    return normal(kept)


def normal(weights: dict[int, float]) -> dict[int, float]:
    """Return weights that sum to one."""
    return {token: weight / sum(weights.values()) for token, weight in weights.items()}
