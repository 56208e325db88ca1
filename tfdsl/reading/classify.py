"""classify: which class a text, a pair of texts or an image is of, and how sure a model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tfdsl.diagnostics import Diagnostic
from tfdsl.reading import examples
from tfdsl.reading.examples import Example, Given
from tfdsl.reading.inputs import inputs, opened
from tfdsl.reading.questions import instead
from tfdsl.reading.trained import Trained
from tfdsl.settings.objective import Classify as Chosen
from tfdsl.training import binding
from tfdsl.training.figures import wide
from tfdsl.training.objectives import classify as objective
from tfdsl.training.pictures import Pictures

TOLD = 10  # classes that are named


@dataclass(frozen=True, slots=True)
class Class:
    """A class and its probability."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Classified:
    """An example by its name, its likeliest classes, in order, and its own where that is known."""

    name: str
    classes: tuple[Class, ...]
    truth: str | None = None

    @property
    def label(self) -> str:
        """Return the likeliest class."""
        return self.classes[0].label

    @property
    def probability(self) -> float:
        """Return the probability of the likeliest class."""
        return self.classes[0].probability


def classify(
    trained: Trained, given: Sequence[Given], top: int = 1, output: str | None = None
) -> tuple[tuple[Classified, ...], list[Diagnostic]]:
    """Return the `top` likeliest classes of each example, and what is wrong with those left aside, or was cut.

    Texts are read as in training: cut to what the model reads. Images are brought to the size that the run says, and
    normalised as its training images were. `output` names the scores of the classes among several outputs.
    """
    task, problems = bind(trained, output)
    if task is None or problems:
        return (), problems
    kind: examples.Kind = "image" if isinstance(task.reader, Pictures) else "text"
    if problems := examples.few(given, top):
        return (), problems
    asked, problems = examples.of(given, kind)
    names = [*trained.about.get("labels", [])]
    names += [str(each) for each in range(len(names), task.classes)]
    read, said = inputs(trained, task.reader, asked)
    said = [*problems, *said, *_unknown(asked, names)]
    found: dict[int, Classified] = {}
    for batch, held in read:
        with torch.inference_mode():
            chances_BK = wide(binding.result(trained.model, held, task.output)).softmax(-1)
        for at, row_K in zip(batch, chances_BK, strict=True):
            found[at] = _classified(asked[at], row_K, names, top)
    return tuple(found[at] for at in sorted(found)), said


def bind(trained: Trained, output: str | None) -> tuple[objective.Classify | None, list[Diagnostic]]:
    """Bind a model that tells classes apart, its reader ready; or say why it is none."""
    signature, problems = trained.one_output(output)
    if problems:
        return None, problems
    if trained.train.objective.type_name == "contrastive":
        message = "the model was trained to give vectors, and knows no classes"
        return None, instead(trained, [Diagnostic("R832", message, label="no classes")])
    task, found = objective.bind(trained.train.model_copy(update={"objective": Chosen()}), signature)
    if not isinstance(task, objective.Classify):
        return None, instead(trained, [each for _, each in found])
    return task, opened(trained, task.reader)


def _unknown(asked: Sequence[Example], names: Sequence[str]) -> list[Diagnostic]:
    """Say which classes of the examples the model does not have, so that none of theirs can be right."""
    other = sorted({each.label for each in asked if each.label is not None} - {*names})
    if not other:
        return []
    shown, has = (", ".join(f"`{each}`" for each in some[:TOLD]) for some in (other, names))
    message = f"the model has no such class as {shown}{_more(other)}, so what is of it counts as wrong"
    return [Diagnostic("W609", message, label="no such class", help=f"its classes are {has}{_more(names)}")]


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - TOLD:,} more" if len(names) > TOLD else ""


def _classified(example: Example, chances_K: Tensor, names: Sequence[str], top: int) -> Classified:
    best, at = chances_K.topk(min(top, len(chances_K)))
    classes = tuple(Class(names[int(one)], chance) for one, chance in zip(at.tolist(), best.tolist(), strict=True))
    return Classified(example.name, classes, example.label)
