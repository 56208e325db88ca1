"""What PyTorch says of a model: its inputs at some lengths, the FLOPs that it counts, the bytes that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tfdsl import shapes
from tfdsl.checking import Checked

Lengths = Mapping[str, int]


def inputs(checked: Checked, lengths: Lengths, device: str = "cpu", dtype: torch.dtype | None = None) -> list[Tensor]:
    """Return random inputs, without padding, with the symbolic axes as long as `lengths` says."""
    found: list[Tensor] = []
    for value in checked.inputs.values():
        size = [shapes.at(axis.size, lengths) for axis in value.tensor.axes]
        if value.tensor.vocab is None and value.tensor.dtype == "int":
            found.append(torch.ones(size, device=device, dtype=torch.int64))
        elif value.tensor.vocab is None:
            found.append(torch.randn(size, device=device, dtype=dtype))
        else:
            found.append(torch.randint(1, int(value.tensor.vocab.size), size, device=device))
    return found


def results(model: nn.Module, given: list[Tensor], **more: Any) -> dict[str, Tensor]:
    """Return what a model gives, by name; a single result is called ``."""
    found = model(*given, **more)
    return found if isinstance(found, dict) else {"": found}


def flops(model: nn.Module, given: list[Tensor]) -> tuple[int, int]:
    """Return the FLOPs that PyTorch counts for a forward pass, and for a forward and a backward pass."""
    with FlopCounterMode(display=False) as counter:
        ends = list(results(model, given).values())
        forward = counter.get_total_flops()
        torch.autograd.backward(ends, [torch.ones_like(end) for end in ends])
    return forward, counter.get_total_flops()


def kept(model: nn.Module, given: list[Tensor]) -> int:
    """Return the bytes that autograd keeps of a forward pass: each storage once, weights and inputs left out."""
    others = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *given)}
    found: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        found.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(*given)
    return sum(each.untyped_storage().nbytes() for place, each in found.items() if place not in others)
