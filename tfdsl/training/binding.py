"""Which of a model's inputs takes what, and which of its outputs is meant: found by their shapes and kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Input, Signature
from tfdsl.training.task import Model

SEGMENTS = frozenset({"segments", "segment", "token_types", "token_type_ids", "types"})
PLACES = frozenset({"places", "positions", "position_ids"})


@dataclass(frozen=True, slots=True)
class Bound:
    """A text input `words` with the inputs that go with it, and the `output` that is read.

    `order` are the model's inputs as its `forward` takes them; `masks`, `segments` and `places` those that tell, for
    each position of the text, whether it is real, which of two texts it is in, and where it stands. `documents` says
    which of several texts in a row it is in; nothing where no input does.
    """

    order: tuple[str, ...]
    words: Input
    output: str
    masks: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    documents: str = ""

    def inputs(
        self,
        tokens_BT: Tensor,
        keep_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        documents_BT: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return what the model takes, by name, in its order; all positions are real where nothing else is said.

        Documents that are not given are left out, and each row is one; so are those of other inputs.
        """
        found: dict[str, Tensor] = {self.words.name: tokens_BT}
        for name in self.masks:
            found[name] = torch.ones_like(tokens_BT) if keep_BT is None else keep_BT.long()
        for name in self.segments:
            found[name] = torch.zeros_like(tokens_BT) if segments_BT is None else segments_BT
        for name in self.places:
            found[name] = _places(tokens_BT, documents_BT if self.documents else None)
        if documents_BT is not None and self.documents:
            found[self.documents] = documents_BT
        return {name: found[name] for name in self.order if name in found}


def _places(tokens_BT: Tensor, documents_BT: Tensor | None) -> Tensor:
    """Return the number of each position; with each document they begin again."""
    place_T = torch.arange(tokens_BT.shape[1])
    if documents_BT is None:
        return place_T.expand_as(tokens_BT)
    new_BT = F.pad(documents_BT[:, 1:] != documents_BT[:, :-1], (1, 0), value=True)
    return place_T - (place_T * new_BT).cummax(dim=1).values


def result(model: Model, inputs: Mapping[str, Tensor], output: str) -> Tensor:
    """Return the `output` of the model on `inputs`, which stand in the order of its `forward`."""
    found: Any = model(*inputs.values())
    chosen: Tensor = found[output] if isinstance(found, dict) else found
    return chosen


def text(signature: Signature, objective: str) -> tuple[Bound | None, list[tuple[str, Diagnostic]]]:
    """Bind a model that turns one text [B, T] into logits [B, T, V] over its words; or say why it is none."""
    words = signature.texts()
    if len(words) != 1:
        return None, [_misfit(objective, "inputs")]
    shape = words[0].shape
    outputs = [each for each, extents in signature.outputs.items() if extents == (*shape, words[0].vocab)]
    if len(outputs) != 1 or len(shape) != 2:
        return None, [_misfit(objective, "outputs")]
    bound, unfed = beside(signature, words[0], outputs[0])
    return (None, [_unfed(objective, unfed)]) if unfed else (bound, [])


def beside(signature: Signature, words: Input, output: str) -> tuple[Bound, str]:
    """Return the text input `words` with those that go with it, and the name of one that nothing feeds, or nothing."""
    masks = tuple(each.name for each in signature.masks(words.name))
    documents = signature.documents(words.name)
    given = {words.name, *masks}
    rest = [each for each in signature.inputs.values() if each.name not in given and each.kind != "documents"]
    segments = tuple(each.name for each in rest if each.name in SEGMENTS and each.shape == words.shape)
    places = tuple(each.name for each in rest if each.name in PLACES and each.shape == words.shape)
    unfed = next((each.name for each in rest if each.name not in {*segments, *places}), "")
    told = documents.name if documents is not None else ""
    return Bound(tuple(signature.inputs), words, output, masks, segments, places, told), unfed


def _misfit(objective: str, where: str) -> tuple[str, Diagnostic]:
    message = f"`{objective}` wants a model that turns one input of tokens [B, T] into logits [B, T, V]"
    return where, Diagnostic("R710", message, label="not such a model")


def _unfed(objective: str, name: str) -> tuple[str, Diagnostic]:
    message = f"`{objective}` has nothing to feed the input `{name}` with"
    return f"inputs.{name}", Diagnostic("R710", message, label="what is it for?")
