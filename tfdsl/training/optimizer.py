"""The optimisers of a training, one or several, behind one small interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, distributed, nn

from tfdsl import settings
from tfdsl.settings.optimizer import SGD, Adafactor, AdamW, Muon, Rest
from tfdsl.training.groups import Group

SLOTS = {"exp_avg": "first", "exp_avg_sq": "second"}  # what runs of old called these
TORCHS = {name: slot for slot, name in SLOTS.items()}
SCALES = {"adamw": "match_rms_adamw", "original": "original"}


class Optimizer:
    """What moves a model's weights; `state` is what it remembers, and `restore` takes it back.

    The weights may be DTensors (FSDP2), as then are the tensors of `state`; make it after the model is sharded. It
    moves the weights `held` in place of the model's, where they are given.
    """

    def __init__(
        self,
        model: nn.Module,
        chosen: settings.Optimizer,
        groups: Sequence[Group],
        held: Mapping[str, nn.Parameter] | None = None,
    ) -> None:
        named = dict(model.named_parameters()) | dict(held or {})
        self.names = {id(weight): name for name, weight in named.items()}
        self.peak = chosen.lr
        self.parts = _made(chosen, [each for each in groups if each.by != "frozen"], named)
        self.weights = [weight for part in self.parts for group in part.param_groups for weight in group["params"]]

    def step(self) -> None:
        """Move the weights along their gradients."""
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad()

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the schedule; each group has its own factor of it."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group["factor"]

    def state(self) -> dict[str, Tensor]:
        """Return all that is remembered, as `what.NAME` of each weight."""
        kept: dict[str, Tensor] = {}
        for part in self.parts:
            for weight, slots in part.state.items():
                name = self.names[id(weight)]
                kept |= {f"{SLOTS.get(slot, slot)}.{name}": each for slot, each in slots.items() if each is not None}
        return kept

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned, whole tensors for sharded weights too; what is of other weights is left."""
        mine = {self.names[id(weight)]: (part, weight) for part in self.parts for weight in _weights(part)}
        for key, value in kept.items():
            slot, _, name = key.partition(".")
            if name in mine:
                part, weight = mine[name]
                if value.dim() == 0 and part.defaults.get("fused"):
                    value = value.to(weight.device)  # the count of steps, which the fused form reads there
                part.state[weight][TORCHS.get(slot, slot)] = _placed(value, weight)


def freeze(model: nn.Module, groups: Sequence[Group]) -> None:
    """Take the gradients of frozen weights away; done before the model is handed to several processes."""
    frozen = {name for group in groups if group.by == "frozen" for name in group.names}
    for name, weight in model.named_parameters():
        weight.requires_grad_(name not in frozen)


def _weights(part: torch.optim.Optimizer) -> list[Tensor]:
    return [weight for group in part.param_groups for weight in group["params"]]


def _placed(value: Tensor, weight: Tensor) -> Tensor:
    """Return what was remembered of a weight where the weight is: in its shards if it has the weight's shape."""
    if value.dim() == 0:
        return value  # a count of steps, which torch keeps where it made it
    if not distributed.is_initialized():
        return value.to(weight.device)
    from torch.distributed.tensor import DTensor, Replicate, distribute_tensor  # slow to import, for few

    if not isinstance(weight, DTensor) or isinstance(value, DTensor):
        return value.to(weight.device)
    whole = [Replicate()] * weight.device_mesh.ndim
    return distribute_tensor(value, weight.device_mesh, weight.placements if value.shape == weight.shape else whole)


def _made(
    chosen: settings.Optimizer, groups: Sequence[Group], named: Mapping[str, nn.Parameter]
) -> list[torch.optim.Optimizer]:
    """Return torch's optimisers over the groups: Muon and AdamW, or the one that is chosen."""

    def over(by: str) -> list[dict[str, object]]:
        return [
            {
                "params": [named[name] for name in each.names],
                "lr": each.lr,
                "weight_decay": each.decay,
                "factor": each.lr / chosen.lr,
            }
            for each in groups
            if each.by == by
        ]

    match chosen:
        case Muon():
            parts: list[torch.optim.Optimizer] = []
            if over("muon"):
                parts.append(_muon(chosen, over("muon")))
            return [*parts, _adamw(chosen.rest, over("adamw"))] if over("adamw") else parts
        case Adafactor():
            return [_adafactor(chosen, over("adafactor"))]
        case SGD():
            return [_sgd(chosen, over("sgd"))]
        case AdamW():
            return [_adamw(chosen, over("adamw"))]
        case _:
            raise TypeError(f"no optimiser is built for {chosen.type_name}")


def _adamw(chosen: AdamW | Rest, groups: list[dict[str, object]]) -> torch.optim.AdamW:
    return torch.optim.AdamW(groups, lr=chosen.lr, betas=chosen.betas, eps=chosen.eps, fused=True)


def _muon(chosen: Muon, groups: list[dict[str, object]]) -> torch.optim.Muon:
    return torch.optim.Muon(
        groups,  # pyright: ignore[reportArgumentType]  (groups of tensors, as all of torch's optimisers take them)
        lr=chosen.lr,
        momentum=chosen.momentum,
        nesterov=chosen.nesterov,
        ns_steps=chosen.iterations,
        adjust_lr_fn=SCALES[chosen.scale],
    )


def _adafactor(chosen: Adafactor, groups: list[dict[str, object]]) -> torch.optim.Adafactor:
    return torch.optim.Adafactor(
        groups, lr=chosen.lr, beta2_decay=chosen.beta2_decay, eps=(None, chosen.eps), d=chosen.threshold
    )


def _sgd(chosen: SGD, groups: list[dict[str, object]]) -> torch.optim.SGD:
    return torch.optim.SGD(groups, lr=chosen.lr, momentum=chosen.momentum, nesterov=chosen.nesterov)
