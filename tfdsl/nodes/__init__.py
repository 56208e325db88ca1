"""The kinds of node, a file each; the file's name is the kind.

Their classes make models in Python:

>>> from tfdsl.nodes import Attention, FeedForward, Residual, RMSNorm
>>> layer = [Residual(body=[RMSNorm(), Attention(heads=4)]), Residual(body=["norm", FeedForward(hidden="4 * d_model")])]
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any


@cache
def classes() -> dict[str, type]:
    """Return the class of every kind, or of each of its types, by its name."""
    from tfdsl.node import Node

    modules = [importlib.import_module(f"tfdsl.nodes.{each.name}") for each in pkgutil.iter_modules(__path__)]
    found = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    return {
        each.__name__: each
        for each in found
        if issubclass(each, Node) and each.kind and (each.type_name or not each.types)
    }


def __getattr__(name: str) -> Any:
    """Return the class of a kind, found in the files when it is first asked for."""
    if name.startswith("_") or name not in classes():
        raise AttributeError(f"module 'tfdsl.nodes' has no class {name!r}")
    return classes()[name]


def __dir__() -> list[str]:
    """Return the names of the classes."""
    return sorted(classes())
