"""Checkpoints in parts: each process writes what it holds, and any number of processes reads them again."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

PART = re.compile(r"shard-(\d{5})-model-\d{5}-of-\d{5}\.safetensors")  # as torch.distributed.checkpoint names them


def any_of(names: Iterable[str]) -> bool:
    """Return whether there are files of this kind among `names`."""
    return any(PART.fullmatch(name) for name in names)


def of(folder: Path, rank: int) -> list[Path]:
    """Return the files that the process `rank` (from 0) wrote."""
    return [path for path in folder.glob("shard-*") if (m := PART.fullmatch(path.name)) and int(m[1]) == rank + 1]


def begin(
    folder: Path, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor], group: dist.ProcessGroup | None
) -> Future[object]:
    """Copy all tensors and write them in another thread, while training goes on; all processes call this together."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import async_save

    kept = {f"weights.{name}": tensor for name, tensor in weights.items()}
    kept |= {f"moments.{name}": tensor for name, tensor in moments.items()}
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    written = async_save(kept, storage_writer=writer, process_group=group)
    assert isinstance(written, Future)
    return written


def read(folder: Path, part: str) -> dict[str, Tensor]:
    """Return the tensors of a `part` (`weights`, `moments`) by name, whole, in one process alone."""
    empty = {name: torch.empty(size, dtype=dtype) for name, (size, dtype) in _known(folder).items() if _in(name, part)}
    _fetch(folder, empty, None, alone=True)
    return {name.removeprefix(f"{part}."): tensor for name, tensor in empty.items()}


def fill(folder: Path, own: Mapping[str, Tensor], group: dist.ProcessGroup | None) -> None:
    """Read into the weights `own` the parts that this process holds of them; all processes call this together.

    Raises ValueError unless names and shapes are those of the checkpoint, one for one.
    """
    known = {name.removeprefix("weights."): size for name, (size, _) in _known(folder).items() if _in(name, "weights")}
    odd = sorted(own.keys() ^ known.keys()) or [name for name in own if own[name].shape != known[name]]
    if odd:
        raise ValueError(f"the checkpoint's weights are not this model's: {', '.join(odd[:5])}")
    _fetch(folder, {f"weights.{name}": tensor for name, tensor in own.items()}, group)


def moments(folder: Path, own: Mapping[str, Tensor], group: dist.ProcessGroup | None) -> dict[str, Tensor]:
    """Return what an optimiser remembers, by name: parted as the weight it is about, where it has its shape."""
    kept: dict[str, Tensor] = {}
    for name, (size, dtype) in _known(folder).items():
        if _in(name, "moments"):
            weight = own.get(name.split(".", 2)[2])
            if weight is not None and weight.shape == size:
                kept[name] = torch.empty_like(weight, dtype=dtype)
            else:
                kept[name] = torch.empty(size, dtype=dtype)
    _fetch(folder, kept, group)
    return {name.removeprefix("moments."): tensor for name, tensor in kept.items()}


def parted(whole: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return whole tensors parted as the weights they are about (`first.NAME` is about `NAME`), where of its shape."""
    if not dist.is_initialized():
        return dict(whole)
    from torch.distributed.tensor import DTensor, distribute_tensor  # slow to import, for few

    found: dict[str, Tensor] = {}
    for name, tensor in whole.items():
        weight = own.get(name) if name in own else own.get(name.partition(".")[2])
        if isinstance(weight, DTensor) and weight.shape == tensor.shape:
            mesh, places = weight.device_mesh, weight.placements
            tensor = distribute_tensor(tensor.to(weight.device), mesh, places, src_data_rank=None)
        found[name] = tensor
    return found


def _in(name: str, part: str) -> bool:
    return name.startswith(f"{part}.")


def _known(folder: Path) -> dict[str, tuple[torch.Size, torch.dtype]]:
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    held = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    return {
        name: (each.size, each.properties.dtype)
        for name, each in held.items()
        if isinstance(each, TensorStorageMetadata)
    }


def _fetch(folder: Path, into: dict[str, Tensor], group: dist.ProcessGroup | None, alone: bool = False) -> None:
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    if not into:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)  # as it is meant to be
        reader = HuggingFaceStorageReader(str(folder))
        load(into, storage_reader=reader, process_group=group, no_dist=alone)
