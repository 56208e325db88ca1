"""The layers as a model has them: classes made of the text that the compiler starts from, parts melted in."""

from __future__ import annotations

import importlib
from typing import Any

import tfdsl
from tfdsl.codegen.library import library


def flat(name: str, module: str) -> Any:
    """Return the class of a layer that stands in a module of `tfdsl.layers` and is made of parts."""
    found: dict[str, Any] = {}
    for each in (module, "activations", "entering", "weighing", "rotary", "softmax", "cache"):
        found |= vars(importlib.import_module(f"{tfdsl.__name__}.layers.{each}"))
    exec("from __future__ import annotations\n" + library()[name].source, found)
    return found[name]
