"""The kinds of node, a file each; the file's name is the kind.

Their classes make models in Python:

>>> from tfdsl.nodes import Attention, FeedForward, Residual, RMSNorm
>>> layer = [Residual(body=[RMSNorm(), Attention(heads=4)]), Residual(body=["norm", FeedForward(hidden="4 * d_model")])]
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors; what there is, is found by looking
    from tfdsl.nodes.activation import Activation as Activation
    from tfdsl.nodes.attention import Attention as Attention
    from tfdsl.nodes.concat import Concat as Concat
    from tfdsl.nodes.dropout import Dropout as Dropout
    from tfdsl.nodes.embed import Embed as Embed
    from tfdsl.nodes.ffn import FeedForward as FeedForward
    from tfdsl.nodes.linear import Linear as Linear
    from tfdsl.nodes.moe import MixtureOfExperts as MixtureOfExperts
    from tfdsl.nodes.multiply import Multiply as Multiply
    from tfdsl.nodes.norm import DynamicTanh as DynamicTanh
    from tfdsl.nodes.norm import LayerNorm as LayerNorm
    from tfdsl.nodes.norm import RMSNorm as RMSNorm
    from tfdsl.nodes.norm import ScaleNorm as ScaleNorm
    from tfdsl.nodes.norm import UnitNorm as UnitNorm
    from tfdsl.nodes.patch import Patch as Patch
    from tfdsl.nodes.pool import First as First
    from tfdsl.nodes.pool import Last as Last
    from tfdsl.nodes.pool import Max as Max
    from tfdsl.nodes.pool import Mean as Mean
    from tfdsl.nodes.position import Learned as Learned
    from tfdsl.nodes.position import Sinusoidal as Sinusoidal
    from tfdsl.nodes.prepend import Prepend as Prepend
    from tfdsl.nodes.repeat import Repeat as Repeat
    from tfdsl.nodes.residual import Residual as Residual
    from tfdsl.nodes.scale import Scale as Scale
    from tfdsl.nodes.sum import Sum as Sum
    from tfdsl.nodes.unembed import Unembed as Unembed
    from tfdsl.nodes.use import Use as Use


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
