"""The objectives: one file each, named as in a spec, which binds itself to a model as a task."""

from __future__ import annotations

import importlib

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.training import binding
from tfdsl.training.task import Task


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, list[tuple[str, Diagnostic]]]:
    """Return the task that the settings choose for a model, or why it cannot be: each with its place in the spec."""
    word = train.objective.type_name
    if train.data is not None and train.data.packing != "cut" and word not in ("next_token", "seq2seq"):
        message = (
            f"`packing` says how `next_token` and `seq2seq` lay texts into rows, and `{word}` has examples of its own"
        )
        return None, [("train.data.packing", Diagnostic("R786", message, label="not honoured"))]
    signature, problems = binding.chosen(signature, train)
    if problems:
        return None, problems
    module = importlib.import_module(f"{__name__}.{train.objective.type_name}")
    bound: tuple[Task | None, list[tuple[str, Diagnostic]]] = module.bind(train, signature)
    return bound
