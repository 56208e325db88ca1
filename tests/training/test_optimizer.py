"""Each optimiser against its equations or torch's own, step for step; and what it remembers, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.training.gpt import GPT
from tfdsl import settings
from tfdsl.settings import Train
from tfdsl.training import groups
from tfdsl.training.optimizer import Optimizer, freeze

CASES: dict[str, Any] = {
    "adamw": {"type": "adamw", "lr": 0.01},
    "muon": {"type": "muon", "lr": 0.02, "rest": {"lr": 0.003, "betas": [0.8, 0.9]}},
    "jordan": {"type": "muon", "lr": 0.02, "scale": "original", "nesterov": False, "weight_decay": 0},
    "adafactor": {"type": "adafactor", "weight_decay": 0.05},
    "sgd": {"type": "sgd", "weight_decay": 0.01},
    "plain": {"type": "sgd", "momentum": 0},
    "nesterov": {"type": "sgd", "nesterov": True},
}


def chosen(**fields: Any) -> settings.Optimizer:
    return Train.read({"optimizer": fields}).optimizer


def made(model: nn.Module, optimizer: settings.Optimizer) -> Optimizer:
    parts = groups.part(groups.of_model(model), optimizer)
    freeze(model, parts)
    return Optimizer(model, optimizer, parts)


def gradients(model: nn.Module, step: int) -> None:
    """Give each weight a gradient that is a function of the step."""
    draw = torch.Generator().manual_seed(step)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=draw, dtype=weight.dtype) if weight.requires_grad else None


def theirs(name: str, model: nn.Module) -> list[torch.optim.Optimizer]:
    """Return what torch's users would write."""
    named = dict(model.named_parameters())
    inner = [named[f"layers.0.{each}.weight"] for each in ("qkv", "out", "up", "down")]
    decayed = inner
    rest = [each for each in named.values() if not any(each is other for other in decayed)]

    def both(decay: float) -> list[dict[str, Any]]:
        return [{"params": rest, "weight_decay": 0.0}, {"params": decayed, "weight_decay": decay}]

    match name:
        case "adamw":
            return [torch.optim.AdamW(both(0.1), lr=0.01, betas=(0.9, 0.95), fused=True)]
        case "muon":
            muon = torch.optim.Muon(inner, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
            return [muon, torch.optim.AdamW(rest, lr=0.003, betas=(0.8, 0.9), weight_decay=0.0, fused=True)]
        case "jordan":
            muon = torch.optim.Muon(inner, lr=0.02, weight_decay=0.0, nesterov=False, adjust_lr_fn="original")
            return [muon, torch.optim.AdamW(rest, lr=0.001, betas=(0.9, 0.95), weight_decay=0.0, fused=True)]
        case "adafactor":
            return [torch.optim.Adafactor(both(0.05), lr=0.01)]
        case "sgd":
            return [torch.optim.SGD(both(0.01), lr=0.1, momentum=0.9)]
        case "plain":
            return [torch.optim.SGD(both(0.0), lr=0.1)]
        case _:
            return [torch.optim.SGD(both(0.0), lr=0.1, momentum=0.9, nesterov=True)]


@pytest.mark.parametrize("name", CASES)
def test_steps_are_torchs(name: str) -> None:
    torch.manual_seed(0)
    ours, other = GPT(11), GPT(11)
    other.load_state_dict(ours.state_dict())
    mine, its = made(ours, chosen(**CASES[name])), theirs(name, other)
    for step in range(6):
        mine.set_rate(mine.peak * (0.5 if step > 2 else 1.0))
        if step == 3:
            for group in (group for each in its for group in each.param_groups):
                group["lr"] *= 0.5
        gradients(ours, step)
        gradients(other, step)
        mine.step()
        for each in its:
            each.step()
        for weight, its_weight in zip(ours.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(weight, its_weight, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_what_was_kept_comes_back_to_the_bit(name: str, tmp_path: Path) -> None:
    """Three steps, a safetensors file, three steps by another: equal to six steps."""
    torch.manual_seed(0)
    straight, cut = GPT(11), GPT(11)
    cut.load_state_dict(straight.state_dict())
    one, two = made(straight, chosen(**CASES[name])), made(cut, chosen(**CASES[name]))
    for step in range(6):
        if step == 3:
            save_file({key: each.contiguous() for key, each in two.state().items()}, tmp_path / "kept.safetensors")
            two = made(cut, chosen(**CASES[name]))
            two.restore(load_file(tmp_path / "kept.safetensors"))
        for model, each in ((straight, one), (cut, two)):
            gradients(model, step)
            each.step()
    for name_, weight in straight.named_parameters():
        assert torch.equal(weight, dict(cut.named_parameters())[name_]), name_
    kept = two.state()
    assert kept.keys() == one.state().keys()
    assert all(torch.equal(each, kept[key]) for key, each in one.state().items())


def test_steps_are_adamw() -> None:
    """Loshchilov and Hutter, 2019, algorithm 2, in float64."""
    model = nn.Linear(3, 2).double()
    adam = made(model, chosen(lr=0.1, betas=[0.8, 0.9], weight_decay=0.5, eps=1e-3))
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


def test_frozen_weights_stay_and_factors_hold() -> None:
    torch.manual_seed(0)
    model = GPT(11)
    optimizer = chosen(
        type="sgd", lr=1.0, momentum=0, groups=[{"match": "tok.*", "freeze": True}, {"match": "pos.*", "lr": 0.25}]
    )
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    own = made(model, optimizer)
    own.set_rate(0.5)
    gradients(model, 1)
    moves: dict[str, Tensor] = {
        name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None
    }
    own.step()
    assert "tok.weight" not in moves
    for name, weight in model.named_parameters():
        factor = {"tok.weight": 0.0, "pos.weight": 0.125}.get(name, 0.5)
        moved = moves.get(name, torch.zeros(()))
        torch.testing.assert_close(weight.detach(), before[name] - factor * moved)
