"""Weights in bfloat16, and beside each its float32 copy, which the optimiser moves and a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

LOW = torch.bfloat16


class Masters:
    """The `held` float32 weights of a model that computes with their roundings (Micikevicius et al., 2018, 3.1).

    A step of size 1e-3 of a weight is lost in bfloat16's eight bits, so gradients are summed and steps taken in `held`.
    """

    def __init__(self, model: nn.Module) -> None:
        """Take the weights of a model, and leave it their roundings."""
        self._own = {name: each for name, each in model.named_parameters() if each.is_floating_point()}
        self.held = {name: nn.Parameter(each.detach().clone()) for name, each in self._own.items()}
        for weight in self._own.values():
            weight.data = weight.data.to(LOW)

    @torch.no_grad()
    def take(self) -> None:
        """Add the gradients of a pass to those of `held`, and take them from the model."""
        for name, weight in self._own.items():
            if weight.grad is None:
                continue
            held = self.held[name]
            if held.grad is None:
                held.grad = weight.grad.to(held.dtype)
            else:
                held.grad += weight.grad
            weight.grad = None

    @torch.no_grad()
    def give(self) -> None:
        """Round the weights into the model."""
        for name, weight in self._own.items():
            weight.copy_(self.held[name])

    @torch.no_grad()
    def fill(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a checkpoint."""
        for name, held in self.held.items():
            held.copy_(weights[name])
        self.give()

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights, as a checkpoint holds them."""
        return {name: each.detach() for name, each in self.held.items()}
