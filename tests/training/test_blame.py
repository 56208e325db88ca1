"""Where numbers stopped being numbers: a node, the weight nearest the end, or the one with the largest gradient."""

from __future__ import annotations

import torch
from torch import nn

from tfdsl.training import blame
from tfdsl.training.processes import Processes


def test_a_norm_that_overflows_though_each_gradient_is_finite() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    weights = dict(model.named_parameters())
    for weight in weights.values():
        weight.grad = torch.ones_like(weight)

    def place() -> str:
        return blame.place(model, weights, lambda: model(torch.ones(1, 2)), Processes())

    weights["0.weight"].grad = torch.full((2, 2), -3e30)
    assert (
        not torch.stack([weight.grad.norm() for weight in weights.values() if weight.grad is not None])
        .norm()
        .isfinite()
    )
    assert place() == ", the largest numbers in that of `0.weight` (3e+30)"
    weights["1.bias"].grad = torch.full((2,), float("inf"))
    assert place() == ", nearest the end in that of `1.bias`"
    with torch.no_grad():
        weights["0.bias"].fill_(float("nan"))
    assert place() == ", first in the output of `0`"
