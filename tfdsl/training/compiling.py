"""torch.compile where it pays: what it costs is told, and where it fails the model is called as it is."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import Any, Literal

import torch

from tfdsl.diagnostics import Diagnostic

Call = Callable[..., Any]


def pays(asked: bool | Literal["auto"], device: str) -> bool:
    """Return whether to compile: where it is asked for, and on a GPU.

    Measured on one core, GPT and Llama style, 4 layers of 128 and 6 of 384, float32 and bfloat16: a step of a compiled
    model takes 0.94 to 1.05 times as long (1.1 to 1.3 with dropout in attention), and compiling 13 to 44 CPU-seconds.
    """
    return device == "cuda" if asked == "auto" else asked


class Compiled:
    """A model's call, compiled when it is first made; `seconds` is how long the first calls took, compiling with them.

    `say` hears why it could not be compiled, once; from then on it is called as it is.
    """

    def __init__(self, call: Call, say: Callable[[Diagnostic], None], backend: str = "inductor") -> None:
        self._plain, self._say = call, say
        self.seconds = 0.0
        why = missing() if backend == "inductor" else None
        self._compiled: Call | None = torch.compile(call, backend=backend) if why is None else None
        if why is not None:
            self._fail(why)

    def __call__(self, *inputs: Any) -> Any:
        """Return what the call returns."""
        if self._compiled is None:
            return self._plain(*inputs)
        from torch._dynamo.exc import TorchDynamoException  # a second to import

        before, began = _compilations(), time.monotonic()
        try:
            found = self._compiled(*inputs)
        except TorchDynamoException as fault:
            self._compiled = None
            why = next(line for line in [*str(fault).strip().splitlines(), "no reason"] if not line.endswith("raised:"))
            self._fail(why)
            return self._plain(*inputs)
        if _compilations() != before:
            self.seconds += time.monotonic() - began
        return found

    def _fail(self, why: str) -> None:
        help_ = "the model is trained as it is; `--set train.compile=false` does not try"
        self._say(Diagnostic("W581", f"the model cannot be compiled: {why}", help=help_))


def missing() -> str | None:
    """Return what compiling would lack on this machine, as it is known beforehand."""
    named = os.environ.get("CXX")
    names = (named,) if named else ("g++", "clang++", "c++", "cl")
    if any(shutil.which(name) for name in names):
        return None
    return "there is no C++ compiler" + (f" `{named}`, which `CXX` names" if named else "")


def _compilations() -> int:
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])
