"""The loss against its definition, and the measurement against the loss."""

import contextlib
import math

import numpy as np
import pytest
import torch

from tests.training.gpt import GPT
from tfdsl.training.batches import in_order
from tfdsl.training.objective import measure, next_token


def test_smoothing_is_the_definition() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 3, 7), torch.randint(7, (2, 3))
    spread = torch.full((2, 3, 7), 0.1 / 7).scatter_add(2, targets[..., None], torch.full((2, 3, 1), 0.9))
    by_hand = -(spread * logits.log_softmax(2)).sum(2).mean()
    assert next_token(lambda _: logits, targets, targets, 0.1).item() == pytest.approx(by_hand.item(), rel=1e-6)


def test_a_measurement_weighs_each_token_the_same() -> None:
    torch.manual_seed(0)
    model = GPT(11, dropout=0.5).train()
    text = np.random.default_rng(0).integers(0, 11, 75).astype(np.uint16)
    measured = measure(model, in_order(text, rows=3, context=8), 2.0, contextlib.nullcontext)
    model.eval()
    total = 0.0
    for start in range(0, 74, 8):
        window = torch.from_numpy(text[start : start + 9].astype(np.int64))
        logprob = model(window[None, :-1])[0].log_softmax(1)
        total -= sum(logprob[place, token].item() for place, token in enumerate(window[1:]))
    assert measured.tokens == 74
    assert measured.loss == pytest.approx(total / 74, rel=1e-5)
    assert measured.bits == pytest.approx(total / 74 / math.log(2) / 2.0, rel=1e-5)


def test_a_measurement_leaves_the_mode_as_it_was() -> None:
    model = GPT(11).train()
    measure(model, in_order(np.zeros(20, np.uint16), 1, 8), 1.0, contextlib.nullcontext)
    assert model.training
