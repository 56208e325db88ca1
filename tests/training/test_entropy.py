"""The loss against its definition: smoothing and z-loss, summed over the targets that count."""

import pytest
import torch

from tfdsl.training.crossentropy import IGNORED, summed


def test_it_is_the_definition() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(6, 7, dtype=torch.float64), torch.randint(7, (6,))
    spread = torch.full((6, 7), 0.1 / 7, dtype=torch.float64)
    spread[torch.arange(6), targets] += 0.9
    entropy = -(spread * logits.log_softmax(1)).sum(1)
    divisor = logits.exp().sum(1).log()
    counted = targets.clone()
    counted[2] = IGNORED
    expected = (entropy + 1e-2 * divisor**2)[[0, 1, 3, 4, 5]].sum()
    assert summed(logits, counted, 0.1, 1e-2).item() == pytest.approx(expected.item(), rel=1e-12)


def test_z_loss_draws_the_divisor_to_one() -> None:
    """PaLM, section 5: the gradient of z · ln² Z by a logit is 2 z · ln Z · its probability."""
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.zeros(4, dtype=torch.long)
    with_z, without = (torch.autograd.grad(summed(logits, targets, 0.0, z), logits)[0] for z in (0.3, 0.0))
    expected = 0.6 * logits.logsumexp(1, keepdim=True) * logits.softmax(1)
    torch.testing.assert_close(with_z - without, expected)


def test_low_precision_is_summed_in_float32() -> None:
    logits = torch.randn(4, 5).bfloat16()
    assert summed(logits, torch.zeros(4, dtype=torch.long), 0.0, 1e-4).dtype == torch.float32
