"""fill: which words stand where a text has a mask, as a model of masked words has learned them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
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
from tfdsl.reading.questions import instead
from tfdsl.reading.trained import Row, Trained
from tfdsl.sampling import aside
from tfdsl.training import binding, head
from tfdsl.training.figures import wide
from tfdsl.training.rows import Filled as Filling
from tfdsl.training.rows import Rows

MASK = "[MASK]"  # what always stands for a mask


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
    """Return the `top` likeliest words of each mask of each text, and what is wrong with texts that are left aside.

    Texts of different lengths are read together, and each gives what it gives alone.
    """
    bound, problems = bind(trained)
    problems = problems or few(texts, top) or texts_alone(texts)
    if bound is None or problems:
        return (), problems
    marks = rows(trained, bound)
    masked, problems = read(trained, texts, marks)
    if not masked or trained.tokenizer is None:
        return (), problems
    written = words(trained.tokenizer, bound.words.vocab)
    found: dict[int, Filled] = {}
    for batch in batches([len(each.row) for each in masked], alike(bound)):
        some = [masked[at] for at in batch]
        filled = marks.fill([(each.row, len(each.row)) for each in some])
        x_ND, counts = scores(trained, bound, filled, [each.places for each in some])
        chances_NK, chosen_NK = wide(x_ND).softmax(-1).topk(min(top, x_ND.shape[-1]))
        for which, chances, chosen in zip(batch, chances_NK.split(counts), chosen_NK.split(counts), strict=True):
            found[which] = _filled(masked[which], chances, chosen, written)
    return tuple(found[at] for at in range(len(masked))), problems


def rows(trained: Trained, bound: binding.Bound) -> Rows:
    """Return how texts stand in rows: between the marks that training put around them."""
    own = trained.mark("pad") or 0 if bound.words.pad is None else bound.words.pad
    fixed = isinstance(bound.words.shape[1], int)
    return Rows(trained.context, fixed, own, trained.mark("first"), trained.mark("separator"))


def alike(bound: binding.Bound) -> bool:
    """Return whether rows that are read together have to be of one length."""
    return bound.words.pad is None and not bound.masks


def unmasked(trained: Trained) -> list[Diagnostic]:
    """Say where nothing can be masked, for the tokenizer has no mark for it."""
    if trained.mark("mask") is not None:
        return []
    message = "the tokenizer has no mark for a word that is missing"
    help_ = "it is spelt `[MASK]`, `<mask>` or `<|mask|>`; a run of `masked_token` has one"
    return [Diagnostic("R833", message, label="no mask", help=help_)]


def bind(trained: Trained) -> tuple[binding.Bound | None, list[Diagnostic]]:
    """Bind a model of masked words, or say why it is none."""
    signature = trained.signature
    bound, _ = binding.text(signature, "fill")
    if bound is not None and signature.goes_on and trained.train.objective.type_name != "masked_token":
        message = "the model looks back alone, so it knows nothing of what stands behind a mask"
        return None, instead(trained, [Diagnostic("R832", message, label="not of masked words")])
    if bound is None:
        takes, gives = (", ".join(f"`{name}`" for name in part) for part in (signature.inputs, signature.outputs))
        message = f"the model is not one of masked words: it takes {takes} and gives {gives}"
        return None, instead(trained, [Diagnostic("R832", message, label="nothing to fill")])
    return bound, []


def read(trained: Trained, texts: Sequence[str], marks: Rows) -> tuple[list[Masked], list[Diagnostic]]:
    """Return texts with masks as rows, and what is wrong with those that are left aside."""
    if problems := trained.wordless() or unmasked(trained):
        return [], problems
    mask = trained.mark("mask")
    assert trained.tokenizer is not None and mask is not None, "they were asked for"
    names = aside.names(len(texts))
    faults = trained.unread([text.replace(MASK, "") for text in texts], names)
    spelt = trained.tokenizer.id_to_token(mask) or MASK
    sound = [place for place in range(len(texts)) if place not in faults]
    parted = [_parted(trained.tokenizer, texts[place], spelt) for place in sound]
    if trained.made:  # no text that a made tokenizer reads holds a mark, so what stands between the masks is read alone
        found = _between(trained.tokens([part for each in parted for part in each]), [*map(len, parted)], mask)
    else:
        found = trained.tokens([spelt.join(each) for each in parted])
    masked: list[Masked] = []
    for place, parts, row in zip(sound, parted, found, strict=True):
        each = _masked(texts[place], parts, row, mask, marks)
        if fault := _against(each, names[place], spelt, marks):
            faults[place] = fault
        else:
            masked.append(each)
    return masked, aside.told(faults)


def shown(text: str, most: int = 90) -> str:
    """Return a text in one line; of a long one what stands around its first mask."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    first = min(max(0, line.find(MASK) - (most - len(MASK)) // 2), len(line) - most)
    return ("…" if first else "") + line[first : first + most] + ("…" if first + most < len(line) else "")


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


def _against(masked: Masked, name: str, spelt: str, marks: Rows) -> Diagnostic | None:
    short = aside.short(masked.text)
    if not masked.places:
        said = f"`{MASK}`" if spelt == MASK else f"`{MASK}` or `{spelt}`"
        return Diagnostic("R834", f"{name} has no mask: {short!r}", label="nothing to fill", help=f"write {said}")
    if len(masked.row) > marks.most:
        message = f"{name} has {len(masked.row):,} tokens with its marks, the model reads {marks.most:,}: {short!r}"
        return Diagnostic("R835", message, label="too long", help="leave out what is far from the mask")
    return None


def scores(
    trained: Trained, bound: binding.Bound, filled: Filling, places: Sequence[Sequence[int]]
) -> tuple[Tensor, list[int]]:
    """Return the scores [N, V] at these places of each row, row by row, and how many places each has."""
    with torch.inference_mode():
        given = head.given(trained.scored, bound.inputs(filled.tokens, filled.keep, filled.segments), bound.output)
        x_BTD = given.x if isinstance(given, Unscored) else given
        which = [row for row, each in enumerate(places) for _ in each]
        x_ND = x_BTD[which, [place for each in places for place in each]]
        if isinstance(given, Unscored):
            x_ND = F.linear(x_ND, given.weight_VD, given.bias_V)
    return x_ND, [len(each) for each in places]


def _filled(masked: Masked, chances_NK: Tensor, chosen_NK: Tensor, written: Sequence[str]) -> Filled:
    found = tuple(
        tuple(Word(token, written[int(token)], chance) for chance, token in zip(*each, strict=True))
        for each in zip(chances_NK.tolist(), chosen_NK.tolist(), strict=True)
    )
    firsts = [*(each[0].text for each in found), ""]
    return Filled(masked.text, found, "".join(a + b for a, b in zip(masked.parts, firsts, strict=True)))
