"""Which of a model's inputs takes what, and which of its outputs is meant: found by their shapes and kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Input, Signature
from tfdsl.training.task import Model

Problems = list[tuple[str, Diagnostic]]
SEGMENTS = frozenset({"segments", "segment", "token_types", "token_type_ids", "types"})
PLACES = frozenset({"places", "positions", "position_ids"})


@dataclass(frozen=True, slots=True)
class Bound:
    """A text input `words` with the inputs that go with it, and the `output` that is read.

    `order` are the model's inputs as its `forward` takes them; `masks`, `segments` and `places` those that tell, for
    each position of the text, whether it is real, which of two texts it is in, and where it stands.
    """

    order: tuple[str, ...]
    words: Input
    output: str
    masks: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    @property
    def own(self) -> frozenset[str]:
        """Return the names of the inputs that are of this text."""
        return frozenset((self.words.name, *self.masks, *self.segments, *self.places))

    def inputs(
        self,
        tokens_BT: Tensor,
        keep_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        first: int = 0,
    ) -> dict[str, Tensor]:
        """Return what the model takes, by name, in its order; all positions are real where nothing else is said.

        `first` is the position of the first token, where a cache holds those before it.
        """
        found: dict[str, Tensor] = {self.words.name: tokens_BT}
        for name in self.masks:
            found[name] = torch.ones_like(tokens_BT) if keep_BT is None else keep_BT.long()
        for name in self.segments:
            found[name] = torch.zeros_like(tokens_BT) if segments_BT is None else segments_BT
        for name in self.places:
            places_T = torch.arange(first, first + tokens_BT.shape[1], device=tokens_BT.device)
            found[name] = places_T.expand_as(tokens_BT)
        return {name: found[name] for name in self.order}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two text inputs, of which the second is to be written given the first, and the `output` [B, T, V] over it.

    `order` are all of the model's inputs as its `forward` takes them.
    """

    order: tuple[str, ...]
    source: Bound
    target: Bound

    @property
    def output(self) -> str:
        """Return the name of the logits."""
        return self.target.output

    def inputs(
        self, source_BS: Tensor, source_keep_BS: Tensor, target_BT: Tensor, target_keep_BT: Tensor, first: int = 0
    ) -> dict[str, Tensor]:
        """Return what the model takes, by name, in its order; the targets stand from the position `first` on."""
        found = self.source.inputs(source_BS, source_keep_BS)
        found |= self.target.inputs(target_BT, target_keep_BT, first=first)
        return {name: found[name] for name in self.order}


def result(model: Model, inputs: Mapping[str, Tensor], output: str) -> Tensor:
    """Return the `output` of the model on `inputs`, which stand in the order of its `forward`."""
    found: Any = model(*inputs.values())
    chosen: Tensor = found[output] if isinstance(found, dict) else found
    return chosen


def text(signature: Signature, objective: str, whether: bool = False) -> tuple[Bound | None, Problems]:
    """Bind a model that turns one text [B, T] into logits [B, T, V] over its words; or say why it is none.

    With `whether` it is one logit for each word, [B, T].
    """
    wanted = ONE.replace(", V", "") if whether else ONE
    words = signature.texts()
    if len(words) != 1:
        return None, [_misfit(objective, "inputs", wanted)]
    shape = words[0].shape
    extents = shape if whether else (*shape, words[0].vocab)
    outputs = [each for each, found in signature.outputs.items() if found == extents]
    if len(outputs) != 1 or len(shape) != 2:
        return None, [_misfit(objective, "outputs", wanted)]
    bound, unfed = beside(signature, words[0], outputs[0])
    return (None, [_unfed(objective, unfed)]) if unfed else (bound, [])


def pair(signature: Signature, objective: str) -> tuple[Pair | None, Problems]:
    """Bind a model of two texts [B, S] and [B, T] whose logits [B, T, V] are over the second; or say why it is none."""
    wanted = "a model of two inputs of tokens, [B, S] and [B, T], that gives logits [B, T, V]"
    words = signature.texts()
    if len(words) != 2 or any(len(each.shape) != 2 for each in words) or words[0].shape == words[1].shape:
        return None, [_misfit(objective, "inputs", wanted)]
    fits = [
        (source, target, output)
        for source, target in (words, words[::-1])
        for output, extents in signature.outputs.items()
        if extents == (*target.shape, target.vocab)
    ]
    if len(fits) != 1:
        return None, [_misfit(objective, "outputs", wanted)]
    source, target, output = fits[0]
    first, _ = beside(signature, source, output)
    second, _ = beside(signature, target, output)
    parts = [replace(each, order=tuple(name for name in each.order if name in each.own)) for each in (first, second)]
    known = {name for each in parts for name in each.order}
    unfed = next((name for name in signature.inputs if name not in known), "")
    return (None, [_unfed(objective, unfed)]) if unfed else (Pair(tuple(signature.inputs), *parts), [])


def beside(signature: Signature, words: Input, output: str) -> tuple[Bound, str]:
    """Return the text input `words` with those that go with it, and the name of one that nothing feeds, or nothing."""
    masks = tuple(each.name for each in signature.masks(words.name))
    rest = [each for each in signature.inputs.values() if each.name not in {words.name, *masks}]
    segments = tuple(each.name for each in rest if each.name in SEGMENTS and each.shape == words.shape)
    places = tuple(each.name for each in rest if each.name in PLACES and each.shape == words.shape)
    unfed = next((each.name for each in rest if each.name not in {*segments, *places}), "")
    return Bound(tuple(signature.inputs), words, output, masks, segments, places), unfed


def fits(train: settings.Train, signature: Signature, bound: Bound) -> Problems:
    """Say where sequences of `train.context` tokens are longer than the positions of a text."""
    assert train.context is not None, "the context is settled before"
    most = signature.limits.get(str(bound.words.shape[1]))
    if most is None or train.context <= most:
        return []
    message = f"sequences of {train.context:,} tokens do not fit the model's {most:,} positions"
    help_ = f"set `train.context` to {most} or less, or make the position table longer"
    return [("train.context", Diagnostic("R705", message, label="too long", help=help_))]


ONE = "a model that turns one input of tokens [B, T] into logits [B, T, V]"


def _misfit(objective: str, where: str, wanted: str = ONE) -> tuple[str, Diagnostic]:
    return where, Diagnostic("R710", f"`{objective}` wants {wanted}", label="not such a model")


def _unfed(objective: str, name: str) -> tuple[str, Diagnostic]:
    message = f"`{objective}` has nothing to feed the input `{name}` with"
    return f"inputs.{name}", Diagnostic("R710", message, label="what is it for?")
