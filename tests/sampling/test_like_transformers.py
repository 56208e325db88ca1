"""Processors beside those of transformers: the same tokens are left, with the same logits to rounding."""

from __future__ import annotations

import math

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import generation

from tfdsl.sampling import processors
from tfdsl.settings import Sample

# Ties, huge and tiny ones, and tokens that are ruled out; a column is far from each, so that one is always left.
VALUES = st.sampled_from([-math.inf, -1e30, -80.0, -3.25, -1.0, 0.0, 0.5, 1.0, 1.0, 2.5, 60.0, 1e30]) | st.floats(
    -20, 20, width=32
)
ROWS = arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(2, 40)), elements=VALUES)
MANY = settings(max_examples=150, deadline=None)
TOKENS = torch.zeros(0, 0, dtype=torch.long)


def scores(rows: np.ndarray) -> Tensor:
    """Return logits [B, V] of which a token is left in each row."""
    logits_BV = torch.from_numpy(rows.copy())
    logits_BV[:, 0] = torch.where((logits_BV == -math.inf).all(1), 0.0, logits_BV[:, 0])
    return logits_BV


def kept(logits_BV: Tensor) -> Tensor:
    return logits_BV > -math.inf


def chances(logits_BV: Tensor) -> Tensor:
    return logits_BV.double().softmax(-1)


def mass(left_BV: Tensor, logits_BV: Tensor) -> list[list[float]]:
    """Return the probabilities that are left in each row, the highest first: equal ones may stand for each other."""
    each_BV = torch.where(left_BV, chances(logits_BV), 0.0)
    return [[round(each, 9) for each in sorted(row, reverse=True) if each > 1e-9] for row in each_BV.tolist()]


@MANY
@given(ROWS, st.integers(1, 45))
def test_top_k(rows: np.ndarray, k: int) -> None:
    logits_BV = scores(rows)
    own = processors.top_k(logits_BV, k)
    theirs = generation.TopKLogitsWarper(k)(TOKENS, logits_BV)
    assert (kept(own) <= kept(theirs)).all()
    assert (kept(own).sum(1) == kept(theirs).sum(1).clamp(max=k)).all()
    assert torch.equal(own[kept(own)], logits_BV[kept(own)])


@MANY
@given(ROWS, st.floats(0.01, 0.99))
def test_top_p(rows: np.ndarray, p: float) -> None:
    logits_BV = scores(rows)
    reached = chances(logits_BV).sort(descending=True).values.cumsum(1)
    assume(bool(((reached - p).abs() > 1e-5).all()))
    theirs = generation.TopPLogitsWarper(p)(TOKENS, logits_BV)
    assert mass(kept(processors.top_p(logits_BV, p)), logits_BV) == mass(kept(theirs), logits_BV)


@MANY
@given(ROWS, st.floats(0.001, 1))
def test_min_p(rows: np.ndarray, p: float) -> None:
    logits_BV = scores(rows)
    share = chances(logits_BV) / chances(logits_BV).amax(1, keepdim=True)
    assume(bool(((share - p).abs() > 1e-6).all() | (p == 1)))
    theirs = generation.MinPLogitsWarper(p)(TOKENS, logits_BV.double())
    assert torch.equal(kept(processors.min_p(logits_BV, p)), kept(theirs))


@MANY
@given(ROWS, st.floats(0.01, 0.99))
def test_typical(rows: np.ndarray, p: float) -> None:
    logits_BV = scores(rows)
    log = logits_BV.double().log_softmax(-1)
    entropy = -(log.exp() * log).nansum(-1, keepdim=True)
    far, order = (-log - entropy).abs().sort(stable=True)
    reached = log.exp().gather(1, order).cumsum(1)
    assume(bool(((reached - p).abs() > 1e-5).all()))
    assume(bool(((far.diff() > 1e-5) | far[:, 1:].isinf()).all()))  # theirs lets all that are as far through
    theirs = generation.TypicalLogitsWarper(p)(TOKENS, logits_BV)
    assert torch.equal(kept(processors.typical(logits_BV, p)), kept(theirs) & kept(logits_BV))


@MANY
@given(ROWS, st.floats(0.05, 20))
def test_temperature(rows: np.ndarray, temperature: float) -> None:
    logits_BV = scores(rows).clamp(max=1e6)
    theirs = generation.TemperatureLogitsWarper(temperature)(TOKENS, logits_BV.double())
    torch.testing.assert_close(
        chances(processors.temper(logits_BV, temperature)), chances(theirs), rtol=1e-4, atol=1e-7
    )


@MANY
@given(ROWS, st.floats(0.3, 3), st.data())
def test_repetition_penalty(rows: np.ndarray, penalty: float, data: st.DataObject) -> None:
    logits_BV = scores(rows)
    text = st.lists(st.integers(0, logits_BV.size(1) - 1), min_size=4, max_size=4)
    tokens = torch.tensor([data.draw(text) for _ in logits_BV])
    theirs = generation.RepetitionPenaltyLogitsProcessor(penalty)(tokens, logits_BV)
    assert torch.equal(processors.repetition(logits_BV, tokens, penalty), theirs)
    shorter = torch.cat((torch.full((len(tokens), 3), -1), tokens), 1)
    assert torch.equal(processors.repetition(logits_BV, shorter, penalty), theirs)


@MANY
@given(st.data())
def test_banned_runs_of_tokens(data: st.DataObject) -> None:
    few = st.integers(0, 4)
    runs = data.draw(st.lists(st.lists(few, min_size=2, max_size=4).map(tuple), min_size=1, max_size=4, unique=True))
    tokens = torch.tensor(data.draw(st.lists(st.lists(few, min_size=6, max_size=6), min_size=1, max_size=3)))
    logits_BV = torch.zeros(len(tokens), 5)
    theirs = generation.NoBadWordsLogitsProcessor([list(run) for run in runs])(tokens, logits_BV)
    assert torch.equal(processors.forbid_runs(logits_BV, tokens, tuple(runs)), theirs)


@MANY
@given(st.data(), st.integers(1, 4))
def test_no_repeated_runs(data: st.DataObject, size: int) -> None:
    few = st.integers(0, 3)
    length = data.draw(st.integers(1, 9))
    text = st.lists(few, min_size=length, max_size=length)
    tokens = torch.tensor(data.draw(st.lists(text, min_size=1, max_size=3)))
    logits_BV = torch.zeros(len(tokens), 4)
    theirs = generation.NoRepeatNGramLogitsProcessor(size)(tokens, logits_BV.clone())
    assert torch.equal(processors.forbid_repeats(logits_BV, tokens, size), theirs)
    shorter = torch.cat((torch.full((len(tokens), 3), -1), tokens), 1)
    assert torch.equal(processors.forbid_repeats(logits_BV, shorter, size), theirs)


@MANY
@given(ROWS, st.floats(1e-5, 0.9))
def test_cutoffs(rows: np.ndarray, least: float) -> None:
    logits_BV = scores(rows)
    log = logits_BV.double().log_softmax(-1)
    entropy = -(log.exp() * log).nansum(-1, keepdim=True)
    cut = torch.minimum(torch.tensor(least).double(), least**0.5 * (-entropy).exp())
    assume(bool(((log.exp() - least).abs() > 1e-6).all() and ((log.exp() / cut - 1).abs() > 1e-4).all()))
    for own, warper in (
        (processors.epsilon(logits_BV, least), generation.EpsilonLogitsWarper(least)),
        (processors.eta(logits_BV, least), generation.EtaLogitsWarper(least)),
    ):
        assert torch.equal(kept(own), kept(warper(TOKENS, logits_BV.double())) & kept(logits_BV))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_widened_once(dtype: torch.dtype) -> None:
    logits_BV = torch.randn(4, 300, generator=torch.Generator().manual_seed(0)).to(dtype)
    wide = logits_BV.float()
    for own, theirs in (
        (processors.top_k(wide, 20), generation.TopKLogitsWarper(20)(TOKENS, wide)),
        (processors.top_p(wide, 0.8), generation.TopPLogitsWarper(0.8)(TOKENS, wide)),
        (processors.typical(wide, 0.8), generation.TypicalLogitsWarper(0.8)(TOKENS, wide)),
    ):
        assert (kept(own).sum(1) <= kept(theirs).sum(1)).all()
        assert (kept(theirs) | ~kept(own)).all()


def test_the_order_of_filters_is_theirs() -> None:
    """All at once, where no two tokens are as likely: the same tokens with the same chances."""
    from tfdsl.sampling.chain import Seen, chain

    logits_BV = 3 * torch.randn(8, 500, generator=torch.Generator().manual_seed(1))
    chosen = Sample(
        temperature=0.7, top_k=60, top_p=0.9, min_p=0.01, typical_p=0.8, epsilon_cutoff=0.02, eta_cutoff=0.03
    )
    own = logits_BV
    for stage in chain(chosen):
        own = stage.apply(Seen(TOKENS, 0), own)
    theirs = logits_BV
    for each in (
        generation.TemperatureLogitsWarper(0.7),
        generation.TopKLogitsWarper(60),
        generation.TopPLogitsWarper(0.9),
        generation.MinPLogitsWarper(0.01),
        generation.TypicalLogitsWarper(0.8),
        generation.EpsilonLogitsWarper(0.02),
        generation.EtaLogitsWarper(0.03),
    ):
        theirs = each(TOKENS, theirs)
    torch.testing.assert_close(chances(own), chances(theirs), rtol=1e-5, atol=1e-9)
