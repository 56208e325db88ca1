"""The optimiser, and which weights decay."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tfdsl import settings


@dataclass(frozen=True, slots=True)
class Groups:
    """The names of the weights that decay, and of those that do not."""

    decayed: tuple[str, ...]
    kept: tuple[str, ...]


def groups(model: nn.Module, decays: Collection[str] | None) -> Groups:
    """Part the model's weights by `decays`, the names of those that decay; with None, matrices decay."""
    named = dict(model.named_parameters())
    chosen = {name for name, weight in named.items() if weight.dim() >= 2} if decays is None else set(decays)
    return Groups(tuple(n for n in named if n in chosen), tuple(n for n in named if n not in chosen))


def make(model: nn.Module, chosen: settings.Optimizer, parts: Groups) -> torch.optim.AdamW:
    """Return AdamW over the two groups, in the order of their names."""
    named = dict(model.named_parameters())
    return torch.optim.AdamW(
        [
            {"params": [named[name] for name in parts.decayed], "weight_decay": chosen.weight_decay},
            {"params": [named[name] for name in parts.kept], "weight_decay": 0.0},
        ],
        lr=chosen.lr,
        betas=chosen.betas,
        eps=chosen.eps,
        fused=True,
    )


def moments(optimizer: torch.optim.AdamW, parts: Groups) -> dict[str, Tensor]:
    """Return what the optimiser remembers, by weight: `first.NAME`, `second.NAME` and `step.NAME`."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    kept: dict[str, Tensor] = {}
    for name, weight in zip(parts.decayed + parts.kept, weights, strict=True):
        state = optimizer.state[weight]
        if state:
            kept |= {
                f"first.{name}": state["exp_avg"],
                f"second.{name}": state["exp_avg_sq"],
                f"step.{name}": state["step"],
            }
    return kept


def restore(optimizer: torch.optim.AdamW, parts: Groups, kept: dict[str, Tensor]) -> None:
    """Give the optimiser back what `moments` returned."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for name, weight in zip(parts.decayed + parts.kept, weights, strict=True):
        if f"first.{name}" in kept:
            optimizer.state[weight] = {
                "step": kept[f"step.{name}"],
                "exp_avg": kept[f"first.{name}"],
                "exp_avg_sq": kept[f"second.{name}"],
            }
