"""Which weights decay, and AdamW against its equations."""

import torch
from torch import nn

from tests.training.gpt import GPT
from tfdsl import settings
from tfdsl.training import optimizer


def test_matrices_decay_and_vectors_do_not() -> None:
    parts = optimizer.groups(GPT(11), None)
    assert parts.kept == ("layers.0.norm1.weight", "layers.0.norm2.weight", "norm.weight")
    assert parts.decayed == (
        "tok.weight",
        "pos.weight",
        "layers.0.qkv.weight",
        "layers.0.out.weight",
        "layers.0.up.weight",
        "layers.0.down.weight",
    )


def test_the_spec_decides_where_it_says() -> None:
    assert optimizer.groups(GPT(11), frozenset({"pos.weight"})).decayed == ("pos.weight",)


def test_steps_are_adamw() -> None:
    """Loshchilov and Hutter, 2019, algorithm 2, in float64."""
    model = nn.Linear(3, 2).double()
    chosen = settings.Optimizer(lr=0.1, betas=(0.8, 0.9), weight_decay=0.5, eps=1e-3)
    adam = optimizer.make(model, chosen, optimizer.groups(model, None))
    expected = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    first = {name: torch.zeros_like(weight) for name, weight in expected.items()}
    second = {name: torch.zeros_like(weight) for name, weight in expected.items()}
    for step in range(1, 5):
        adam.zero_grad()
        model(torch.ones(1, 3, dtype=torch.float64)).pow(2).sum().backward()
        for name, weight in model.named_parameters():
            assert weight.grad is not None
            first[name] = 0.8 * first[name] + 0.2 * weight.grad
            second[name] = 0.9 * second[name] + 0.1 * weight.grad**2
            root = (second[name] / (1 - 0.9**step)).sqrt() + 1e-3
            decay = 0.5 if name == "weight" else 0.0
            expected[name] = expected[name] * (1 - 0.1 * decay) - 0.1 * first[name] / (1 - 0.8**step) / root
        adam.step()
        for name, weight in model.named_parameters():
            torch.testing.assert_close(weight.detach(), expected[name], rtol=1e-10, atol=1e-12)
