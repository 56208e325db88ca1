"""The moving average of the weights: what is measured, kept and sampled from where a spec asks for one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """An exponential moving average of a model's weights (Polyak and Juditsky, 1992).

    After step t it keeps `decay` of itself, and at most (1 + t) / (10 + t), so that it soon forgets how the model
    began. Buffers are not averaged: the model's own count. The weights `held` stand for the model's where they are
    given.
    """

    def __init__(self, model: nn.Module, decay: float, held: Mapping[str, nn.Parameter] | None = None) -> None:
        self.decay = decay
        trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
        self.own = {name: (held or {}).get(name, each) for name, each in trained.items()}
        self.weights = {name: each.detach().clone() for name, each in self.own.items()}

    @torch.no_grad()
    def stepped(self, step: int) -> None:
        """Take in the weights after a step (from 1)."""
        blend = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        blend(list(self.weights.values()), list(self.own.values()), 0)

    @contextlib.contextmanager
    def in_place(self, swapped: Callable[[], None] = lambda: None) -> Generator[None]:
        """Put the average in the model's place for a while; `swapped` is called after each exchange."""
        self.swap()
        swapped()
        try:
            yield
        finally:
            self.swap()
            swapped()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's weights and the average."""
        for name, own in self.own.items():
            held = own.detach().clone()
            own.copy_(self.weights[name])
            self.weights[name].copy_(held)

    def state(self) -> dict[str, Tensor]:
        """Return, while the average stands in their place, the weights that are trained, as `trained.NAME`."""
        return {f"trained.{name}": each for name, each in self.weights.items()}

    @torch.no_grad()
    def restore(self, kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take the model's weights as the average, and those of `state` as the trained; return what else was kept."""
        for name, own in self.own.items():
            self.weights[name].copy_(own)
            own.copy_(kept[f"trained.{name}"])
        return {key: each for key, each in kept.items() if not key.startswith("trained.")}
