"""questions: which commands a trained model answers, for whoever asked it another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tfdsl.diagnostics import Diagnostic
from tfdsl.reading.trained import Trained
from tfdsl.training import binding, sound_to_text


def answered(trained: Trained) -> tuple[str, ...]:
    """Return the commands that a model answers."""
    signature, objective = trained.signature, trained.train.objective.type_name
    if signature.goes_on or len(signature.texts()) == 2:
        return ("sample", "score")
    if sound_to_text.sound(signature) is not None:
        return ("sample",)
    if binding.text(signature, "fill")[0] is not None:
        return ("fill", "score")
    if any(len(each) == 2 for each in signature.outputs.values()) and trained.imported:
        return ("classify", "embed")  # a vector may be either
    return {"classify": ("classify",), "contrastive": ("embed",)}.get(objective, ("score --held-out",))


def instead(trained: Trained, problems: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return what is wrong with a question, with the commands that the model answers as what can be done."""
    which = " or ".join(f"`tfdsl {each}`" for each in answered(trained))
    return [replace(each, help=f"ask this run with {which}") for each in problems]
