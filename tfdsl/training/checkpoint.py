"""Checkpoints that a kill at any moment cannot spoil: written aside, synced, then renamed; read only if whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from tfdsl import disk
from tfdsl.training import shards
from tfdsl.weights.pack import pack

FORMAT = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint on disk: its folder, the step it was made after, and its state."""

    folder: Path
    step: int
    state: dict[str, Any]

    @property
    def parted(self) -> bool:
        """Return whether several processes wrote it, each its part of the tensors."""
        return not (self.folder / WEIGHTS).exists()

    def weights(self) -> dict[str, Tensor]:
        """Return the weights by name, whole; tied ones are there once."""
        return shards.read(self.folder, "weights") if self.parted else load_file(self.folder / WEIGHTS)

    def moments(self) -> dict[str, Tensor]:
        """Return what the optimiser remembers, by name, whole."""
        return shards.read(self.folder, "moments") if self.parted else load_file(self.folder / OPTIMIZER)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the model's weights and buffers by name, a tied one under its first name alone."""
    seen: set[int] = set()
    kept: dict[str, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            kept[name] = tensor.detach().contiguous()
    return kept


def fill(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy `weights` into the model; raise ValueError unless names and shapes are the model's own, one for one."""
    own = tensors(model)
    odd = sorted(own.keys() ^ weights.keys()) or [n for n in own if own[n].shape != weights[n].shape]
    if odd:
        raise ValueError(f"the checkpoint's weights are not this model's: {', '.join(odd[:5])}")
    for name, tensor in own.items():
        tensor.copy_(weights[name])


def save(root: Path, step: int, weights: dict[str, Tensor], moments: dict[str, Tensor], state: dict[str, Any]) -> Path:
    """Write the checkpoint of `step` below `root`; when this returns, no kill and no power loss can take it away."""
    final = named(root, step)
    if not free(final):
        return final
    with disk.folder(final) as aside:
        files = {WEIGHTS: put(aside / WEIGHTS, pack(weights)), OPTIMIZER: put(aside / OPTIMIZER, pack(moments))}
        describe(aside, step, state, files)
    return final


def describe(folder: Path, step: int, state: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Write the state, and the manifest of it and of the `files` that are there, by the SHA-256 of each."""
    text = json.dumps({**state, "step": step}, indent=1) + "\n"
    disk.put(folder / STATE, text)
    sums = {**files, STATE: hashlib.sha256(text.encode()).hexdigest()}
    disk.put(folder / MANIFEST, json.dumps({"format": FORMAT, "files": sums}, indent=1) + "\n")


def named(root: Path, step: int) -> Path:
    """Return the folder of the checkpoint of a step."""
    return root / f"step-{step:08d}"


def free(final: Path) -> bool:
    """Make room for a checkpoint where a damaged one is in its place; return False where a whole one is."""
    if final.exists():
        if not fault(final):
            return False
        disk.remove(final)
    return True


def put(path: Path, pieces: Iterable[bytes | memoryview]) -> str:
    """Write a file, and return the SHA-256 of what it is to hold."""
    summed = hashlib.sha256()

    def passed() -> Generator[bytes | memoryview]:
        for piece in pieces:
            summed.update(piece)
            yield piece

    disk.put(path, passed())
    return summed.hexdigest()


def prune(root: Path, keep: set[int]) -> None:
    """Delete all checkpoints but those of the steps `keep`, and what an interrupted save left."""
    for folder in root.glob("step-*"):
        if folder not in {named(root, step) for step in keep}:
            disk.remove(folder)
    for folder in root.glob(f".step-*{disk.PART}"):
        disk.clear(folder)


def found(root: Path) -> tuple[list[Checkpoint], list[str]]:
    """Return the whole checkpoints below `root`, oldest first, and what is wrong with each that is damaged."""
    whole: list[Checkpoint] = []
    damaged: list[str] = []
    for folder in sorted(root.glob("step-*")):
        wrong = fault(folder)
        if wrong:
            damaged.append(wrong)
        else:
            state = json.loads((folder / STATE).read_text())
            whole.append(Checkpoint(folder, state["step"], state))
    return whole, damaged


def fault(folder: Path) -> str:
    """Say what is wrong with a checkpoint, or nothing if each byte is as it was written."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = {str(name): str(summed) for name, summed in manifest["files"].items()}
        form = manifest["format"]
    except FileNotFoundError:
        return f"`{folder / MANIFEST}` is missing"
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"`{folder / MANIFEST}` is damaged"
    if form != FORMAT or STATE not in files or not ({WEIGHTS, OPTIMIZER} <= files.keys() or shards.any_of(files)):
        return f"`{folder / MANIFEST}` is of another format"
    for name, summed in files.items():
        if not (folder / name).is_file():
            return f"`{folder / name}` is missing"
        if digest(folder / name) != summed:
            return f"`{folder / name}` is damaged: its SHA-256 is not the one in the manifest"
    return ""


def digest(path: Path) -> str:
    """Return the SHA-256 of what a file holds."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
