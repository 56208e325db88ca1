"""The objectives: one file each, named as in a spec, which binds itself to a model as a task."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.training import binding
from tfdsl.training.task import Task


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, list[tuple[str, Diagnostic]]]:
    """Return the task that the settings choose for a model, or why it cannot be: each with its place in the spec."""
    word = train.objective.type_name
    if train.data is not None and train.data.packing != "cut" and word != "next_token":
        message = f"`packing` says how `next_token` lays texts into rows, and `{word}` has examples of its own"
        return None, [("train.data.packing", Diagnostic("R786", message, label="not honoured"))]
    name = f"{__name__}.{word}"
    if find_spec(name) is None:
        help_ = "`next_token` can; the spec still checks, renders, costs and compiles"
        message = f"the objective `{word}` cannot be trained yet"
        return None, [("train.objective", Diagnostic("R701", message, label="not built yet", help=help_))]
    signature, problems = binding.chosen(signature, train)
    if problems:
        return None, problems
    bound: tuple[Task | None, list[tuple[str, Diagnostic]]] = importlib.import_module(name).bind(train, signature)
    return bound
