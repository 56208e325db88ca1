"""Which of a model's inputs takes what, and which of its outputs is meant: found by their shapes and kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic, suggest
from tfdsl.parts import one_of
from tfdsl.roles import Input, Signature
from tfdsl.training.task import Model

Problems = list[tuple[str, Diagnostic]]
SEGMENTS = frozenset({"segments", "segment", "token_types", "token_type_ids", "types"})
PLACES = frozenset({"places", "positions", "position_ids"})

ONE_TEXT = ("text", "segments", "places", "keep")
FEEDS = {  # what an objective has to feed inputs with, where it is not one text
    "seq2seq": ("source", "target", "segments", "places", "keep"),
    "span_corruption": ("source", "target", "segments", "places", "keep"),
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A text input `words` with the inputs that go with it, and the `output` that is read.

    `order` are the model's inputs as its `forward` takes them; `masks`, `segments` and `places` those that tell, for
    each position of the text, whether it is real, which of two texts it is in, and where it stands. `documents` says
    which of several texts in a row it is in, and stands behind the others; nothing where no input does.
    """

    order: tuple[str, ...]
    words: Input
    output: str
    masks: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    documents: str = ""

    @property
    def own(self) -> frozenset[str]:
        """Return the names of the inputs that are of this text."""
        return frozenset((self.words.name, *self.masks, *self.segments, *self.places))

    def inputs(
        self,
        tokens_BT: Tensor,
        keep_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        documents_BT: Tensor | None = None,
        first: int = 0,
    ) -> dict[str, Tensor]:
        """Return what the model takes, by name, in its order; all positions are real where nothing else is said.

        Documents stand last; where none are given, each row is one. `first` is the
        position of the first token, where a cache holds those before it.
        """
        found: dict[str, Tensor] = {self.words.name: tokens_BT}
        for name in self.masks:
            found[name] = torch.ones_like(tokens_BT) if keep_BT is None else keep_BT.long()
        for name in self.segments:
            found[name] = torch.zeros_like(tokens_BT) if segments_BT is None else segments_BT
        for name in self.places:
            found[name] = _places(tokens_BT, documents_BT if self.documents else None, first)
        given = {name: found[name] for name in self.order}
        return given if documents_BT is None or not self.documents else {**given, self.documents: documents_BT}


def _places(tokens_BT: Tensor, documents_BT: Tensor | None, first: int) -> Tensor:
    """Return the number of each position; with each document they begin again."""
    place_T = torch.arange(first, first + tokens_BT.shape[1], device=tokens_BT.device)
    if documents_BT is None:
        return place_T.expand_as(tokens_BT)
    new_BT = F.pad(documents_BT[:, 1:] != documents_BT[:, :-1], (1, 0), value=True)
    return place_T - (place_T * new_BT).cummax(dim=1).values


@dataclass(frozen=True, slots=True)
class Pair:
    """Two text inputs, of which the second is to be written given the first, and the `output` [B, T, V] over it.

    `order` are the model's inputs as its `forward` takes them, `told` those that stand behind them where rows hold
    several pairs: which document each position belongs to.
    """

    order: tuple[str, ...]
    source: Bound
    target: Bound
    told: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        """Return the name of the logits."""
        return self.target.output

    @property
    def parted(self) -> bool:
        """Return whether the model can be told of several pairs in a row."""
        return bool(self.source.documents and self.target.documents)

    def inputs(
        self,
        source_BS: Tensor,
        source_keep_BS: Tensor,
        target_BT: Tensor,
        target_keep_BT: Tensor,
        documents: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Return what the model takes, by name, in its order; the `documents` of both last, where rows hold several."""
        told = (None, None) if documents is None else documents
        found = self.source.inputs(source_BS, source_keep_BS, documents_BT=told[0])
        found |= self.target.inputs(target_BT, target_keep_BT, documents_BT=told[1])
        return {name: found[name] for name in (*self.order, *self.told) if name in found}


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


def fitted(train: settings.Train, signature: Signature, whether: bool = False) -> tuple[Bound | None, Problems]:
    """Bind a model of one text, as `text` does, whose positions hold sequences of `train.context`."""
    bound, problems = text(signature, train.objective.type_name, whether)
    problems = problems if bound is None else fits(train, signature, bound)
    return (None, problems) if problems else (bound, [])


def pair(signature: Signature, objective: str) -> tuple[Pair | None, Problems]:
    """Bind a model of two texts [B, S] and [B, T] whose logits [B, T, V] are over the second; or say why it is none."""
    wanted = "a model of two inputs of tokens, [B, S] and [B, T], that gives logits [B, T, V]"
    words = signature.texts()
    if len(words) != 2 or any(len(each.shape) != 2 for each in words) or words[0].shape == words[1].shape:
        return None, [_misfit(objective, "inputs", wanted)]
    fits = [
        (source, target, output)
        for source, target in ((words,) if words[0].feed else (words, words[::-1]))
        for output, extents in signature.outputs.items()
        if extents == (*target.shape, target.vocab)
    ]
    if len(fits) != 1:
        return None, [_misfit(objective, "outputs", wanted)]
    source, target, output = fits[0]
    first, _ = beside(signature, source, output)
    second, _ = beside(signature, target, output)
    parts = [replace(each, order=tuple(name for name in each.order if name in each.own)) for each in (first, second)]
    known = {name for each in parts for name in (*each.order, each.documents)}
    unfed = next((name for name in signature.inputs if name not in known), "")
    told = tuple(name for name, each in signature.inputs.items() if each.kind == "documents")
    order = tuple(name for name in signature.inputs if name not in told)
    return (None, [_unfed(objective, unfed)]) if unfed else (Pair(order, parts[0], parts[1], told), [])


def beside(signature: Signature, words: Input, output: str) -> tuple[Bound, str]:
    """Return the text input `words` with those that go with it, and the name of one that nothing feeds, or nothing."""
    masks = tuple(each.name for each in signature.masks(words.name))
    documents = signature.documents(words.name)
    told = documents.name if documents is not None else ""
    known = {name: each for name, each in signature.inputs.items() if name != told}
    order = tuple(name for name, each in known.items() if each.kind != "documents")
    rest = [each for name, each in known.items() if name not in {words.name, *masks}]
    segments = tuple(each.name for each in rest if _feeds(each, "segments", SEGMENTS, words))
    places = tuple(each.name for each in rest if _feeds(each, "places", PLACES, words))
    unfed = next((each.name for each in rest if each.name not in {*segments, *places}), "")
    return Bound(order, words, output, masks, segments, places, told), unfed


def chosen(signature: Signature, train: settings.Train) -> tuple[Signature, Problems]:
    """Return the signature with the output and the feeds of inputs that the settings name, and what they name wrongly.

    An objective then sees the `output` alone.
    """
    problems: Problems = []
    outputs = dict(signature.outputs)
    if train.output is not None:
        outputs = {name: each for name, each in outputs.items() if name == train.output}
        if not outputs:
            problems.append(("train.output", _unknown("output", train.output, tuple(signature.outputs))))
    for name in train.inputs:
        if name not in signature.inputs:
            problems.append((f"train.inputs.{name}", _unknown("input", name, tuple(signature.inputs))))
    feeds = FEEDS.get(train.objective.type_name, ONE_TEXT)
    for name, feed in train.inputs.items():
        if feed not in feeds:
            message = f"`{train.objective.type_name}` has nothing that is `{feed}`"
            said = Diagnostic("R806", message, label="not fed", help=f"it has {one_of(feeds)}")
            problems.append((f"train.inputs.{name}", said))
    inputs = {name: replace(each, feed=train.inputs.get(name, "")) for name, each in signature.inputs.items()}
    return replace(signature, inputs=inputs, outputs=outputs), problems


def head(
    signature: Signature, objective: str, kind: str, axes: int, help_: str, last: int | None = None
) -> tuple[str | None, Problems]:
    """Return the output of `axes` axes, the last of a known size (`last`, where given), or say why there is none.

    Of several outputs none is taken for what it may not be: the settings say which is meant.
    """
    fits = [
        name
        for name, extents in signature.outputs.items()
        if len(extents) == axes and isinstance(extents[-1], int) and last in (None, extents[-1])
    ]
    if len(signature.outputs) == 1 and fits:
        return fits[0], []
    message = f"`{objective}` wants a model that turns {kind}"
    if not fits:
        return None, [("outputs", Diagnostic("R801", message, label="no such output", help=help_))]
    known = ", ".join(f"`{name}` [{', '.join(map(str, each))}]" for name, each in signature.outputs.items())
    message = f"`{objective}` reads one output, and the model has several: {known}"
    help_ = f"`train.output` says which: {one_of(fits)}, if that is what is meant; else {help_}"
    return None, [("outputs", Diagnostic("R803", message, label="which one?", help=help_))]


def rows(
    train: settings.Train, signature: Signature, kind: str, output: str, filled: bool = False
) -> tuple[Bound | None, Problems]:
    """Bind a model of one text [B, T] that can tell the filling of short texts from text; or say why it is none.

    Where all are `filled` up to the same length, it need not tell.
    """
    words, objective = signature.texts(), train.objective.type_name
    if len(words) != 1 or len(words[0].shape) != 2:
        return None, [("inputs", Diagnostic("R801", f"`{objective}` wants a model that turns {kind}", label="no such"))]
    bound, unfed = beside(signature, words[0], output)
    if unfed:
        return None, [_unfed(objective, unfed)]
    problems = fits(train, signature, bound)
    if problems:
        return None, problems
    if words[0].pad is None and not bound.masks and not filled:
        message = f"`{objective}` fills short texts up, and the model takes the filling for text"
        help_ = "say which token stands for nothing: `pad: 0`"
        where = f"inputs.{words[0].name}"
        return None, [(where, Diagnostic("R809", message, label="which token is no text?", help=help_))]
    return bound, []


def _feeds(one: Input, feed: str, names: frozenset[str], words: Input) -> bool:
    return one.shape == words.shape and (one.feed == feed if one.feed else one.name in names)


def _unknown(what: str, name: str, known: tuple[str, ...]) -> Diagnostic:
    near = suggest(name, known)
    help_ = f"did you mean `{near}`?" if near else f"it has {one_of(known)}"
    return Diagnostic("R802", f"the model has no {what} `{name}`", label=f"no such {what}", help=help_)


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
