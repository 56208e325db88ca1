"""fill: which words stand where a text has a mask, as a model of masked words has learned them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models
from torch import Tensor

from tfdsl import tokens
from tfdsl.diagnostics import Diagnostic
from tfdsl.heads import Unscored
from tfdsl.reading.batches import batches
from tfdsl.reading.examples import few, texts_alone
from tfdsl.reading.trained import Row, Trained
from tfdsl.training import binding, head
from tfdsl.training.figures import wide
from tfdsl.training.rows import Filled as Filling
from tfdsl.training.rows import Rows

MASK = "[MASK]"  # what always stands for a mask
TOLD = 5  # texts that are told one by one
SHOWN = 60  # characters of a text that a diagnostic shows


@dataclass(frozen=True, slots=True)
class Word:
    """A token that may stand at a mask, its text, and its probability."""

    token: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with masks: the likeliest words of each mask, in order, and the text with the first one of each.

    Masks are filled each by itself, however many there are.
    """

    text: str
    words: tuple[tuple[Word, ...], ...]
    best: str


@dataclass(frozen=True, slots=True)
class Masked:
    """A text, what stands between its masks, its tokens [T], and the place of each mask among them."""

    text: str
    parts: Sequence[str]
    row: Row
    places: tuple[int, ...]


def fill(trained: Trained, texts: Sequence[str], top: int = 5) -> tuple[tuple[Filled, ...], list[Diagnostic]]:
    """Return the `top` likeliest words of each mask of each text, or what is wrong.

    Texts of different lengths are read together, and each gives what it gives alone.
    """
    bound, problems = bind(trained)
    problems = problems or few(texts, top) or texts_alone(texts)
    if bound is None or problems:
        return (), problems
    own = trained.mark("pad") or 0 if bound.words.pad is None else bound.words.pad
    marks = Rows(trained.context, _fixed(bound), own, trained.mark("first"), trained.mark("separator"))
    masked, problems = read(trained, texts, marks)
    if problems or trained.tokenizer is None:
        return (), problems
    written = words(trained.tokenizer, bound.words.vocab)
    alike = bound.words.pad is None and not bound.masks
    found: dict[int, Filled] = {}
    for batch in batches([len(each.row) for each in masked], alike):
        some = [masked[at] for at in batch]
        likeliest = _likeliest(trained, bound, marks.fill([(each.row, len(each.row)) for each in some]), some, top)
        for at, (chances, chosen) in zip(batch, likeliest, strict=True):
            found[at] = _filled(masked[at], chances, chosen, written)
    return tuple(found[at] for at in range(len(masked))), []


def bind(trained: Trained) -> tuple[binding.Bound | None, list[Diagnostic]]:
    """Bind a model of masked words, or say why it is none."""
    signature = trained.signature
    bound, _ = binding.text(signature, "fill")
    if bound is not None and signature.goes_on and trained.train.objective.type_name != "masked_token":
        message = "the model looks back alone, so it knows nothing of what stands behind a mask"
        help_ = "`tfdsl sample` lets it go on from a text"
        return None, [Diagnostic("R832", message, label="not of masked words", help=help_)]
    if bound is None:
        takes, gives = (", ".join(f"`{name}`" for name in part) for part in (signature.inputs, signature.outputs))
        message = f"the model is not one of masked words: it takes {takes} and gives {gives}"
        help_ = "one that is takes tokens [B, T] and gives [B, T, V] (`tfdsl new bert`)"
        return None, [Diagnostic("R832", message, label="nothing to fill", help=help_)]
    return bound, []


def read(trained: Trained, texts: Sequence[str], marks: Rows) -> tuple[list[Masked], list[Diagnostic]]:
    """Return texts with masks as rows, or what is wrong with them."""
    problems = trained.readable([text.replace(MASK, "") for text in texts])
    if problems or trained.tokenizer is None:
        return [], problems
    mask = trained.mark("mask")
    if mask is None:
        message = "the tokenizer has no mark for a word that is missing"
        help_ = "it is spelt `[MASK]`, `<mask>` or `<|mask|>`; a run of `masked_token` has one"
        return [], [Diagnostic("R833", message, label="no mask", help=help_)]
    spelt = trained.tokenizer.id_to_token(mask) or MASK
    parted = [_parted(trained.tokenizer, text, spelt) for text in texts]
    if trained.made:  # no text that a made tokenizer reads holds a mark, so what stands between the masks is read alone
        pieces, _ = trained.tokens([part for each in parted for part in each])
        rows = _between(pieces, [len(each) for each in parted], mask)
    else:
        rows, _ = trained.tokens([spelt.join(each) for each in parted])
    found = [_masked(text, each, row, mask, marks) for text, each, row in zip(texts, parted, rows, strict=True)]
    for each in found:
        problems += _against(each, spelt, marks)
    if len(problems) > TOLD:
        more = replace(problems[TOLD], message=f"{len(problems) - TOLD:,} more texts cannot be filled")
        problems = [*problems[:TOLD], more]
    return found, problems


def words(tokenizer: Tokenizer, vocab: int) -> list[str]:
    """Return what each of `vocab` tokens writes; a piece of a word stands as its vocabulary spells it (`##ing`)."""
    pieces = tokens.pieces(tokenizer)
    spelt = isinstance(tokenizer.model, models.WordPiece | models.WordLevel)
    found: list[str] = []
    for token in range(vocab):
        text = pieces[token].decode("utf-8", "replace") if token < len(pieces) and not spelt else ""
        found.append(text or tokenizer.id_to_token(token) or f"<{token}>")
    return found


def _parted(tokenizer: Tokenizer, text: str, spelt: str) -> list[str]:
    """Return what stands between the masks of a text; where a word brings the blank before it, so does a mask."""
    parts = text.replace(spelt, MASK).split(MASK)
    if len(parts) > 1 and _brings(json.loads(tokenizer.to_str())["pre_tokenizer"] or {}):
        parts[:-1] = [each.removesuffix(" ") for each in parts[:-1]]
    return parts


def _brings(step: dict[str, Any]) -> bool:
    """Return whether a word's token holds the blank before it."""
    kind = step.get("type")
    inner: list[dict[str, Any]] = step.get("pretokenizers", [])
    return (kind == "ByteLevel" and step.get("use_regex", True)) or kind == "Metaspace" or any(map(_brings, inner))


def _between(pieces: Sequence[Row], counts: Sequence[int], mask: int) -> list[Row]:
    """Return rows of pieces, so many in each, with a mask between two."""
    found: list[Row] = []
    used = 0
    for count in counts:
        parts: list[Row] = []
        for piece in pieces[used : used + count]:
            parts += [piece, np.array([mask], np.int64)]
        found.append(np.concatenate(parts[:-1]))
        used += count
    return found


def _masked(text: str, parts: Sequence[str], row: Row, mask: int, marks: Rows) -> Masked:
    """Return a text between the marks of a row, and where its masks are."""
    ends = [[] if each is None else [each] for each in (marks.first, marks.separator)]
    whole = np.concatenate([ends[0], row, ends[1]]).astype(np.int64)
    return Masked(text, parts, whole, tuple(np.flatnonzero(whole == mask).tolist()))


def _against(masked: Masked, spelt: str, marks: Rows) -> list[Diagnostic]:
    short = masked.text if len(masked.text) <= SHOWN else masked.text[:SHOWN] + "…"
    if not masked.places:
        said = f"`{MASK}`" if spelt == MASK else f"`{MASK}` or `{spelt}`"
        return [Diagnostic("R834", f"the text has no mask: {short!r}", label="nothing to fill", help=f"write {said}")]
    if len(masked.row) > marks.most:
        message = f"the text has {len(masked.row):,} tokens with its marks, the model reads {marks.most:,}: {short!r}"
        return [Diagnostic("R835", message, label="too long", help="leave out what is far from the mask")]
    return []


def _fixed(bound: binding.Bound) -> bool:
    """Return whether the model reads rows of one length alone."""
    return isinstance(bound.words.shape[1], int)


def _likeliest(
    trained: Trained, bound: binding.Bound, filled: Filling, some: Sequence[Masked], top: int
) -> list[tuple[Tensor, Tensor]]:
    """Return the probabilities [N, k] and the tokens [N, k] of the likeliest words at the masks of each row."""
    with torch.inference_mode():
        given = head.given(trained.scored, bound.inputs(filled.tokens, filled.keep, filled.segments), bound.output)
        at = [(row, place) for row, each in enumerate(some) for place in each.places]
        x_BTD = given.x if isinstance(given, Unscored) else given
        x_ND = x_BTD[[row for row, _ in at], [place for _, place in at]]
        if isinstance(given, Unscored):
            x_ND = F.linear(x_ND, given.weight_VD, given.bias_V)
        chances_NK, chosen_NK = wide(x_ND).softmax(-1).topk(min(top, x_ND.shape[-1]))
    counts = [len(each.places) for each in some]
    return list(zip(chances_NK.split(counts), chosen_NK.split(counts), strict=True))


def _filled(masked: Masked, chances_NK: Tensor, chosen_NK: Tensor, written: Sequence[str]) -> Filled:
    found = tuple(
        tuple(Word(token, written[int(token)], chance) for chance, token in zip(*each, strict=True))
        for each in zip(chances_NK.tolist(), chosen_NK.tolist(), strict=True)
    )
    firsts = [*(each[0].text for each in found), ""]
    return Filled(masked.text, found, "".join(a + b for a, b in zip(masked.parts, firsts, strict=True)))
