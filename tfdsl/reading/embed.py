"""embed: texts and images as vectors, near those of what belongs together."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tfdsl.diagnostics import Diagnostic
from tfdsl.faults import RunError
from tfdsl.reading import examples, sides
from tfdsl.reading.examples import Example, Given
from tfdsl.reading.inputs import inputs, opened
from tfdsl.reading.questions import instead
from tfdsl.reading.trained import Trained
from tfdsl.settings.objective import Contrastive as Chosen
from tfdsl.training import binding
from tfdsl.training.figures import wide
from tfdsl.training.objectives import contrastive as objective
from tfdsl.training.reader import Reader

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Near:
    """One of those that were searched: its place among them, its name, and the cosine of the angle to it."""

    place: int
    name: str
    cosine: float


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Examples by their names, and their vectors [N, D], each of length 1 where nothing else was asked for."""

    names: tuple[str, ...]
    vectors: Vectors

    def __repr__(self) -> str:
        """Return how many vectors there are, their size, and the first names."""
        count, size = self.vectors.shape
        names = ", ".join(repr(each) for each in self.names[:3]) + (", …" if count > 3 else "")
        return f"Embedded({count:,} vector{'s' * (count != 1)} of {size:,}: {names})"

    def against(self, others: Embedded) -> Vectors:
        """Return the cosine of the angle between each vector and each of the others, [N, M].

        Raises RunError where the others are no vectors, or of another size.
        """
        found: Any = others
        if not isinstance(found, Embedded) or found.vectors.shape[1:] != self.vectors.shape[1:]:
            theirs = f"of {found.vectors.shape[1]:,}" if isinstance(found, Embedded) else f"{found!r:.40}"
            message = (
                f"vectors of {self.vectors.shape[1]:,} numbers are compared with such, and the others are {theirs}"
            )
            raise RunError([Diagnostic("R836", message, label="not alike", help="let one run `embed` both")])
        return _unit(self.vectors) @ _unit(others.vectors).T

    def array(self) -> bytes:
        """Return the vectors as the content of a NumPy file (`.npy`)."""
        content = io.BytesIO()
        np.lib.format.write_array(content, self.vectors, allow_pickle=False)
        return content.getvalue()

    def nearest(self, others: Embedded, top: int = 5) -> tuple[tuple[Near, ...], ...]:
        """Return for each vector the `top` nearest of the others, the nearest first.

        Raises RunError where the others are no vectors, or of another size, or `top` is no number of them.
        """
        if problems := examples.counted("top", top):
            raise RunError(problems)
        cosines_NM = self.against(others)
        best_NK = np.argsort(-cosines_NM, axis=1, kind="stable")[:, :top]
        return tuple(
            tuple(Near(int(at), others.names[at], float(row_M[at])) for at in best_K)
            for row_M, best_K in zip(cosines_NM, best_NK, strict=True)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """How vectors of texts or of images are had: what reads them, the output, and what the model's other inputs are."""

    reader: Reader
    output: str
    order: tuple[str, ...]
    beside: Mapping[str, Tensor]


def embed(
    trained: Trained, given: Sequence[Given], *, unit: bool = True, output: str | None = None
) -> tuple[Embedded | None, list[Diagnostic]]:
    """Return the vectors of texts, or of images (arrays, or paths of them), and what is wrong with those left aside.

    They are brought to length 1 where not `unit` says that they stay as the model gives them. `output` names the
    vectors among several outputs. A model of texts and images is asked for either, but not for both at once.
    """
    if problems := examples.few(given):
        return None, problems
    pictures = _pictures(trained, given)
    model, side, problems = bind(trained, pictures, output)
    if model is None or side is None or problems:
        return None, problems
    asked, problems = examples.of(given, "image" if pictures else "text")
    read, said = inputs(trained, side.reader, asked)
    said = [*problems, *said]
    found: dict[int, Tensor] = {}
    for batch, held in read:
        fed = {**side.beside, **held}
        with torch.inference_mode():
            given_BD = wide(
                binding.result(model.model, {name: fed[name] for name in side.order if name in fed}, side.output)
            )
        found |= zip(batch, F.normalize(given_BD, dim=-1) if unit else given_BD, strict=True)
    if not found:
        return None, said
    kept = sorted(found)
    vectors = torch.stack([found[at] for at in kept])
    return Embedded(tuple(asked[at].name for at in kept), vectors.float().numpy()), said


def bind(trained: Trained, pictures: bool, output: str | None) -> tuple[Trained | None, Side | None, list[Diagnostic]]:
    """Bind a model that gives a vector for each text (or image), or say why it is none."""
    signature, problems = trained.one_output(output)
    if problems:
        return None, None, problems
    if trained.train.objective.type_name == "classify":
        message = "the model was trained to tell classes apart, and gives no vectors"
        return None, None, instead(trained, [Diagnostic("R832", message, label="no vectors")])
    settled = trained.train.model_copy(update={"objective": Chosen(), "context": trained.train.context or 1})
    task, found = objective.bind(settled, signature)
    problems = [each for _, each in found]
    if isinstance(task, objective.Vectors):
        problems = opened(trained, task.reader)
        return trained, Side(task.reader, task.output, tuple(signature.inputs), {}), problems
    if not isinstance(task, objective.Scores):
        return None, None, instead(trained, problems)
    model, names, problems = sides.open_sides(trained)
    if model is None:
        return None, None, problems
    reader = task.images if pictures else task.texts
    problems = [*opened(trained, task.texts), *(opened(trained, reader) if pictures else [])]
    if problems:
        return None, None, problems
    return model, Side(reader, names[int(pictures)], task.order, _other(task, pictures)), []


def _other(task: objective.Scores, pictures: bool) -> Mapping[str, Tensor]:
    """Return a single text, or a single black image, for the side that is not asked."""
    if pictures:
        nothing = np.zeros(0, np.int64)
        return task.texts.read([(nothing, None)])
    shape = [each if isinstance(each, int) else 1 for each in task.images.shape[1:]]
    return {task.images.name: torch.zeros(1, *shape)}


def _pictures(trained: Trained, given: Sequence[Given]) -> bool:
    """Return whether images are given: arrays, examples with one, or paths, in a model that takes images."""
    if not trained.signature.texts():
        return True
    if sides.image(trained.signature) is None:
        return False
    return any(not isinstance(each, str | tuple | Example) or _is_image(each) for each in given)


def _is_image(each: Given) -> bool:
    return isinstance(each, Example) and each.image is not None


def _unit(vectors_ND: Vectors) -> Vectors:
    length_N1 = np.linalg.norm(vectors_ND, axis=-1, keepdims=True)
    return (vectors_ND / np.maximum(length_N1, np.finfo(np.float32).tiny)).astype(np.float32)
