"""A model spread over processes: whole in each (DDP), or each weight in parts (FSDP2); and what it recomputes."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from tfdsl.training.processes import Processes

Way = Literal["one", "ddp", "fsdp"]


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """A model as it lies on the processes: `call` is what is called to train it, `loose` weights that no group holds.

    `loose` are single numbers, which FSDP cannot part: their gradients are summed here. `moved` are buffers that a pass
    changes, as the biases that keep experts even: each process moves its own, and the mean of them is kept.
    """

    model: nn.Module
    call: Callable[..., Any]
    way: Way
    processes: Processes
    loose: tuple[nn.Parameter, ...] = ()
    moved: tuple[Tensor, ...] = ()

    def passing(self, last: bool) -> AbstractContextManager[object]:
        """Return the context of a pass of a step: gradients are summed over processes in the `last` one alone."""
        if isinstance(self.call, DistributedDataParallel) and not last:
            return self.call.no_sync()
        return contextlib.nullcontext()

    def settle(self) -> None:
        """Sum what the groups do not, after the last pass of a step."""
        for weight in self.loose:
            if weight.grad is not None:
                dist.all_reduce(weight.grad)
        for buffer in self.moved:
            with torch.no_grad():
                buffer.copy_(self.processes.total(buffer) / self.processes.count)

    def norm(self, weights: Iterable[nn.Parameter]) -> Tensor:
        """Return the 2-norm of all gradients, the same number on each process."""
        grads = [weight.grad for weight in weights if weight.grad is not None]
        if self.way != "fsdp":
            return nn.utils.get_total_norm(grads)
        from torch.distributed.tensor import DTensor  # slow to import, for few

        parts = nn.utils.get_total_norm([grad.to_local() for grad in grads if isinstance(grad, DTensor)])
        whole = nn.utils.get_total_norm([grad for grad in grads if not isinstance(grad, DTensor)])
        return (self.processes.total(parts.square()) + whole.to(parts).square()).sqrt()

    def scale(self, weights: Iterable[nn.Parameter], factor: Tensor) -> None:
        """Multiply all gradients; a mixture of parted and whole ones is none to torch's own function."""
        grads = [weight.grad for weight in weights if weight.grad is not None]
        for grad in grads:
            local(grad).mul_(factor)


def local(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that this process holds."""
    if not dist.is_initialized():
        return tensor
    from torch.distributed.tensor import DTensor  # slow to import, for few

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def spread(
    model: nn.Module, way: Way, processes: Processes, low: torch.dtype | None = None, moved: Sequence[str] = ()
) -> Spread:
    """Spread a model, which lies on the device of its process already.

    `low` is the number format in which FSDP sends the weights of a block; they stay as they are where they are kept.
    Gradients are summed, not averaged: a loss is divided by the count over all processes beforehand.
    """
    buffers = tuple(buffer for name, buffer in model.named_buffers() if name in moved and buffer.is_floating_point())
    if way == "ddp":
        where = [processes.device] if processes.device.type == "cuda" else None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)  # its new name is not in torch 2.11
            call = DistributedDataParallel(model, where, broadcast_buffers=False, gradient_as_bucket_view=True)
        call.register_comm_hook(None, _summed)
        return Spread(model, call, way, processes, moved=buffers)
    if way == "fsdp":
        return Spread(model, model, way, processes, _parted(model, processes, low), buffers)
    return Spread(model, model, way, processes)


def _summed(state, bucket):  # torch reads the annotations of a hook, and knows none that is written as text
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    assert work is not None
    return work.get_future().then(lambda done: done.value()[0])


def _parted(model: nn.Module, processes: Processes, low: torch.dtype | None) -> tuple[nn.Parameter, ...]:
    """Part each weight over the processes, a block at a time; return those that cannot be."""
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    loose = {weight for weight in model.parameters() if weight.dim() == 0}
    mesh = dist.device_mesh.init_device_mesh(processes.device.type, (processes.count,))
    policy = MixedPrecisionPolicy(
        param_dtype=low, reduce_dtype=torch.float32 if low else None, cast_forward_inputs=False
    )
    for block in blocks(model):
        fully_shard(block, mesh=mesh, mp_policy=policy, ignored_params=loose)
    fully_shard(model, mesh=mesh, ignored_params=loose)
    for each in model.modules():
        if isinstance(each, FSDPModule):
            each.set_gradient_divide_factor(1.0)
            each.set_force_sum_reduction_for_comms(True)
    return tuple(loose)


def blocks(model: nn.Module) -> list[nn.Module]:
    """Return the copies of the model's blocks, those that share no weight with the rest."""
    owners: dict[int, set[str]] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(weight), set()).add(name)
    found: list[nn.Module] = []
    for prefix, block in _copies(model):
        own = [owners[id(weight)] for weight in block.parameters()]
        if own and all(name.startswith(f"{prefix}.") for names in own for name in names):
            found.append(block)
    return found


def _copies(model: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """Return what stands in the outermost lists of modules, with its name."""
    found: list[tuple[str, nn.Module]] = []
    for name, child in model.named_children():
        inner = _copies(child, f"{prefix}{name}.")
        if isinstance(model, nn.ModuleList):
            found.append((f"{prefix}{name}", child))
        else:
            found += inner
    return found


def recompute(model: nn.Module, moved: Sequence[str] = ()) -> int:
    """Have each block of the model forget what it computed, and compute it again in the backward pass; return how many.

    Chen et al., 2016. Dropout draws the same numbers again. A block with a buffer that a pass has `moved` keeps what it
    computed: it would move it twice.
    """
    fixed = [(name, block) for name, block in _copies(model) if not any(each.startswith(f"{name}.") for each in moved)]
    distinct = {id(block): block for _, block in fixed}
    for block in distinct.values():
        block.forward = partial(_again, block.forward)  # type: ignore[method-assign]
    return len(distinct)


def _again(forward: Callable[..., Any], *values: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*values, **named)
    return checkpoint(forward, *values, use_reentrant=False, **named)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a pass of training does to a model: the names of weights without a gradient, and of buffers that change."""

    unused: tuple[str, ...]
    moved: tuple[str, ...]


def attempt(model: nn.Module, trial: Callable[[], Tensor], processes: Processes) -> Tried:
    """Find out what a pass does, on any of the processes; the model is then as it was."""
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    trial().backward()
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    used = processes.total(torch.tensor([float(weight.grad is not None) for _, weight in named])).tolist()
    model.zero_grad(set_to_none=True)
    moved: list[str] = []
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if not torch.equal(buffer, kept[name]):
                moved.append(name)
                buffer.copy_(kept[name])
    everywhere = sorted({name for names in processes.told(moved) for name in names})
    return Tried(tuple(name for (name, _), count in zip(named, used, strict=True) if not count), tuple(everywhere))


def freeze(model: nn.Module, names: Sequence[str]) -> None:
    """Take weights out of training, so that no process waits for gradients that never come."""
    chosen = set(names)
    for name, weight in model.named_parameters():
        if name in chosen:
            weight.requires_grad_(False)
