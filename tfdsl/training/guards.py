"""What makes a run slow and could be otherwise, said before it begins."""

from __future__ import annotations

import os
from typing import Literal

import torch
from torch import nn

from tfdsl.diagnostics import Diagnostic


def first(model: nn.Module, threads: int | Literal["auto"] | None) -> list[Diagnostic]:
    """Return what is worth a word: dropout of attention's weights, and threads that would wait for busy cores."""
    device = next((weight.device.type for weight in model.parameters()), "cpu")
    return [*_dropout(model), *_busy(threads)] if device == "cpu" else []


def _dropout(model: nn.Module) -> list[Diagnostic]:
    found = [name for name, module in model.named_modules() if _drops(module)]
    if not found:
        return []
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    message = f"dropout in `{found[0]}`{more} keeps attention from the fast path of a CPU: it takes twice as long"
    help_ = "a dropout of 0 in `attention` is faster; the one behind it, in `residual`, costs next to nothing"
    return [Diagnostic("W581", message, label="slower", help=help_)]


def _drops(module: nn.Module) -> bool:
    """Return whether it is attention (torch's fused kernels on a CPU know no dropout) that leaves out weights."""
    dropout = getattr(module, "dropout", None)
    return type(module).__name__.endswith("Attention") and isinstance(dropout, float) and dropout > 0


def _busy(threads: int | Literal["auto"] | None) -> list[Diagnostic]:
    """Two threads that share one core are up to ten times slower than one: each waits, busily, for the other."""
    cores, count = os.cpu_count() or 1, torch.get_num_threads()
    others = os.getloadavg()[0] - 1  # this process is one of those that want to run
    if threads == "auto" or count == 1 or others + count <= cores + 1:
        return []
    message = f"{count} threads want {count} of {cores} cores, and other programs keep {others:.1f} of them busy"
    help_ = "`--set train.threads=auto` trains with one thread while that is faster"
    return [Diagnostic("W581", message, label="threads will wait for each other", help=help_)]
