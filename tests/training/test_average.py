"""The moving average against torch's own, and that nothing of it is lost on its way through a checkpoint."""

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.training.gpt import GPT
from tfdsl.training.average import Average


def test_the_first_steps_by_hand() -> None:
    """After steps 1 and 2 it keeps 2/11 and 3/12 of itself, then 0.3, its decay."""
    model = GPT(11)
    own = Average(model, 0.3)
    mean = model.pos.weight.detach().double()
    for step, kept in ((1, 2 / 11), (2, 3 / 12), (3, 0.3), (4, 0.3)):
        moved(model, step)
        own.stepped(step)
        mean = kept * mean + (1 - kept) * model.pos.weight.detach().double()
    torch.testing.assert_close(own.weights["pos.weight"].double(), mean, rtol=1e-5, atol=1e-7)


def moved(model: GPT, step: int) -> None:
    draw = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=draw), alpha=0.1)


def test_it_is_torchs_with_the_decay_of_each_step() -> None:
    torch.manual_seed(0)
    model = GPT(11)
    own = Average(model, 0.5)
    theirs = AveragedModel(model)
    theirs.update_parameters(model)  # its first call copies
    for step in range(1, 12):
        moved(model, step)
        own.stepped(step)
        theirs.multi_avg_fn = get_ema_multi_avg_fn(min(0.5, (1 + step) / (10 + step)))
        theirs.update_parameters(model)
        with own.in_place():
            for mine, its in zip(model.parameters(), theirs.module.parameters(), strict=True):
                torch.testing.assert_close(mine, its)


def test_it_steps_aside_to_the_bit() -> None:
    model = GPT(11)
    own = Average(model, 0.9)
    moved(model, 1)
    own.stepped(1)
    before = [weight.detach().clone() for weight in model.parameters()]
    with own.in_place():
        assert not any(map(torch.equal, before, model.parameters()))
    assert all(map(torch.equal, before, model.parameters()))


def test_a_checkpoint_holds_the_average_and_what_is_trained() -> None:
    torch.manual_seed(0)
    model, other = GPT(11), GPT(11)
    own = Average(model, 0.9)
    for step in (1, 2, 3):
        moved(model, step)
        own.stepped(step)
    with own.in_place():
        weights = {name: each.clone() for name, each in model.state_dict().items()}
        kept = {name: each.clone() for name, each in own.state().items()}
    other.load_state_dict(weights)
    again = Average(other, 0.9)
    again.restore(kept)
    for one, two in ((model, other), (own, again)):
        first, second = (each.weights if isinstance(each, Average) else each.state_dict() for each in (one, two))
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_frozen_weights_are_left_out() -> None:
    model = GPT(11)
    model.pos.weight.requires_grad_(False)
    assert "pos.weight" not in Average(model, 0.9).weights
