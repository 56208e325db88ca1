"""Packages that some sources need and that tfdsl can do without."""

from __future__ import annotations

import importlib
from typing import Any

from tfdsl.diagnostics import Diagnostic


class Absent(Exception):
    """A package that is needed is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package

    @property
    def diagnostic(self) -> Diagnostic:
        """Return what to say of it."""
        help_ = f"pip install {self.package} (or all that data may need: pip install 'tfdsl[data]')"
        return Diagnostic("R747", f"reading this needs the package `{self.package}`", label="not installed", help=help_)


def needed(module: str, package: str) -> Any:
    """Return a module; raises Absent where it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise Absent(package) from None
