"""One recipe a family: what its `config.json` means as a spec. The file's name is the config's `model_type`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from tfdsl.weights.config import Config


def known() -> tuple[str, ...]:
    """Return the families that there are recipes for."""
    return tuple(sorted(each.name for each in pkgutil.iter_modules(__path__)))


def recipe(family: str) -> Callable[[Config], dict[str, Any]]:
    """Return the recipe of a known family, from a config to the tree of a spec; it raises Refused for one beyond it."""
    found: Callable[[Config], dict[str, Any]] = importlib.import_module(f"{__name__}.{family}").spec
    return found
