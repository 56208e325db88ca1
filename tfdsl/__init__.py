"""tfdsl: a modelling language for the Transformer family.

>>> checked = tfdsl.check("gpt2.yaml")
>>> model = tfdsl.build(checked)

Every call takes a `Source`: the path of a YAML file, YAML text (a string of more than one line), a `Spec` made of
Python objects, or what `check` returned. A spec with errors raises `SpecError`, which holds the diagnostics; `check`
never does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tfdsl.checking import Checked
    from tfdsl.costing import AxisError
    from tfdsl.diagram import DrawError
    from tfdsl.public import (
        RunError,
        RunWarning,
        SpecError,
        build,
        check,
        compile,
        cost,
        draw,
        export_checkpoint,
        import_checkpoint,
        load,
        load_weights,
        open_run,
        resume,
        sample,
        sweep,
        train,
    )
    from tfdsl.spec import Block, Init, Input, Spec

__all__ = [
    "AxisError",
    "Block",
    "Checked",
    "DrawError",
    "Init",
    "Input",
    "RunError",
    "RunWarning",
    "Spec",
    "SpecError",
    "build",
    "check",
    "compile",
    "cost",
    "draw",
    "export_checkpoint",
    "import_checkpoint",
    "load",
    "load_weights",
    "open_run",
    "resume",
    "sample",
    "sweep",
    "train",
]

HOMES = {
    **dict.fromkeys(("Block", "Init", "Input", "Spec"), "spec"),
    "AxisError": "costing",
    "Checked": "checking",
    "DrawError": "diagram",
}


def __getattr__(name: str) -> Any:
    """Return a public name, imported when it is first asked for, so that nothing waits for what it does not need."""
    if name not in __all__:
        raise AttributeError(f"module 'tfdsl' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tfdsl.{HOMES.get(name, 'public')}"), name)


def __dir__() -> list[str]:
    """Return the public names, for those who complete them: none of them is imported for that."""
    return sorted([*__all__, "__version__", "__all__", "__doc__", "__file__", "__name__", "__path__"])
