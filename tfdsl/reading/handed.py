"""handed: what a run is asked from Python, as lists, whatever it is; and its answers, or what is wrong with them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tfdsl.diagnostics import Diagnostic
from tfdsl.faults import RunError, RunWarning
from tfdsl.reading.examples import Example
from tfdsl.sampling.chain import TAKES
from tfdsl.sampling.prompts import unreadable

Result = TypeVar("Result")


def wrong(message: str, help_: str) -> RunError:
    """Return what is raised for what is no setting."""
    return RunError([Diagnostic("R814", message, label="not a setting", help=help_)])


def prompts_of(given: Any) -> Sequence[Any]:
    """Return what is asked as a list; raises RunError for what has no order, and for what is one thing and no text."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, bytes | Mapping | Set) or not isinstance(given, Iterable):
        raise RunError(list(unreadable([given], ["the prompt"]).values()))
    return list(given)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  (`begin` looks at each)


def functions(processors: Any) -> Sequence[Any]:
    """Return processors as a list, of which `begin` looks at each; raises RunError for what is none."""
    if not isinstance(processors, Iterable):
        raise RunError([Diagnostic("R814", "`processors` is a list of functions", label="no list", help=TAKES)])
    return list(processors)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def listed(given: Any) -> list[Any]:
    """Return what was given as a list: one of it where it is one, whatever it is."""
    alone = isinstance(given, str | Path | tuple | np.ndarray | Example)
    several: Iterable[Any] = [given] if alone or not isinstance(given, Iterable) else given
    return list(several)


def sound(answer: tuple[Result | None, list[Diagnostic]]) -> Result:
    """Return an answer, and warn of what it is not; raises RunError where something is wrong."""
    found, said = answer
    if any(each.severity == "error" for each in said):
        raise RunError(said)
    assert found is not None, "what is not there was said to be wrong"
    for each in said:
        if each.severity == "warning":
            warnings.warn(RunWarning(each), stacklevel=3)
    return found
