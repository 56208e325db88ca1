"""Texts as the rows of a batch: marked, cut to the longest that a model reads, and filled up to one length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from tfdsl import tokens
from tfdsl.data.table import Array, Prepared, Ragged, Table
from tfdsl.data.wanted import Field, Mark
from tfdsl.diagnostics import Diagnostic, Note
from tfdsl.roles import Input
from tfdsl.training.binding import Bound
from tfdsl.training.reader import Reader
from tfdsl.training.task import Place

LEAST = 5  # positions: two texts of a token each, between three marks


@dataclass(frozen=True, slots=True)
class Filled:
    """Texts as rows [B, T]: their tokens, 1 where a position is real, and which of two texts it belongs to (0, 1)."""

    tokens: Tensor
    keep: Tensor
    segments: Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """How texts become rows: `most` positions, `exact` where all rows must have as many, filled up with `pad`.

    A row is `first text separator`, or `first text separator second separator` (Devlin et al., 2019); a mark that is
    None is left out.
    """

    most: int
    exact: bool = False
    pad: int = 0
    first: int | None = None
    separator: int | None = None

    @property
    def between(self) -> int:
        """Return how many positions the marks of a pair of texts take."""
        return (self.first is not None) + 2 * (self.separator is not None)

    def row(self, text: Array, second: Array | None = None) -> tuple[NDArray[np.int64], int]:
        """Return the positions of a row, and where its second text begins (its end, where there is none).

        Of two texts that are too long together, the longer one is cut first.
        """
        head = [] if self.first is None else [self.first]
        tail = [] if self.separator is None else [self.separator]
        if second is None:
            kept = text[: self.most - len(head) - len(tail)]
            row = np.concatenate([head, kept, tail]).astype(np.int64)
            return row, len(row)
        one, two = shortened(len(text), len(second), self.most - self.between)
        begun = len(head) + one + len(tail)
        return np.concatenate([head, text[:one], tail, second[:two], tail]).astype(np.int64), begun

    def fill(self, rows: Sequence[tuple[NDArray[np.int64], int]]) -> Filled:
        """Return rows, each with the place where its second text begins, filled up to the longest of them."""
        width = self.most if self.exact else max((1, *(len(row) for row, _ in rows)))
        words = np.full((len(rows), width), self.pad, np.int64)
        keep, segments = np.zeros_like(words), np.zeros_like(words)
        for at, (row, begun) in enumerate(rows):
            words[at, : len(row)], keep[at, : len(row)] = row, 1
            segments[at, begun : len(row)] = 1
        return Filled(torch.from_numpy(words), torch.from_numpy(keep), torch.from_numpy(segments))


class Texts(Reader):
    """Reads a text, or a `text` and a `second` one as a pair, as a row of a model's text input."""

    fields = (Field("text"), Field("second", optional=True))

    def __init__(
        self, bound: Bound, context: int, marks: tuple[Mark, Mark] = ("first", "separator"), exact: bool = False
    ) -> None:
        self.bound, self.marks = bound, marks
        length = bound.words.shape[1]
        exact = exact or isinstance(length, int)
        self.rows = Rows(min(length, context) if isinstance(length, int) else context, exact, bound.words.pad or 0)

    def against(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        if self.rows.most < LEAST:
            message = f"{self.rows.most} positions are too few for a text and its marks"
            return [("train.context", Diagnostic("R808", message, label="too few", help=f"{LEAST} are the least"))]
        assert data.tokenizer is not None, "texts have a tokenizer"
        problems = _parted(data, self.marks[1]) if "second" in data.train.columns else []
        return problems or _shown(self.bound.words, data.tokenizer, self.marks)

    def remarks(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        return self.cut(data, ("text", "second"))

    def cut(self, data: Prepared, *rows: tuple[str, ...]) -> list[tuple[str, Diagnostic]]:
        """Warn of texts that are longer than the positions: of each of the `rows`, columns that share one."""
        found = {one: [self._over(table, one) for table in (data.train, data.held_out)] for one in rows}
        counts = {one[0]: sum(len(each) for each in both) for one, both in found.items() if any(map(len, both))}
        if not counts:
            return []
        longest = max(int(each.max()) for both in found.values() for each in both if len(each))
        all_ = sum(len(table) for one in rows for table in (data.train, data.held_out) if one[0] in table.columns)
        which = ", ".join(f"{count:,} `{name}`" for name, count in counts.items())
        message = f"{sum(counts.values()):,} of {all_:,} texts do not fit {self.rows.most:,} positions and are cut"
        note = Note(f"too long are {which}; the longest, with its marks, has {longest:,} tokens")
        help_ = "a longer `train.context` cuts fewer, as far as the model has positions; or give shorter texts"
        return [("train.context", Diagnostic("W621", message, label="too short for them", notes=(note,), help=help_))]

    def _over(self, table: Table, columns: Sequence[str]) -> NDArray[np.int64]:
        """Return how many positions those rows would take that take too many."""
        held = [table.columns[name] for name in columns if name in table.columns]
        lengths = [np.diff(each.offsets) for each in held if isinstance(each, Ragged)]
        if not lengths:
            return np.zeros(0, np.int64)
        marks = (self.rows.first is not None) + len(lengths) * (self.rows.separator is not None)
        whole = np.sum(lengths, axis=0) + marks
        return whole[whole > self.rows.most]

    def open(self, data: Prepared) -> None:
        assert data.tokenizer is not None, "texts have a tokenizer"
        known = tokens.marks(data.tokenizer)
        first, separator = (getattr(known, mark) for mark in self.marks)
        pad = self.bound.words.pad
        pad = (known.pad or 0) if pad is None else pad
        self.rows = replace(self.rows, first=first, separator=separator, pad=pad)

    def inputs(self, table: Table, places: Sequence[Place]) -> Mapping[str, Tensor]:
        texts, seconds = table.columns["text"], table.columns.get("second")
        pairs = [(texts[at.index], None if seconds is None else seconds[at.index]) for at in places]
        return self.read(pairs)

    def read(self, pairs: Sequence[tuple[Array, Array | None]]) -> Mapping[str, Tensor]:
        """Return texts, each perhaps with a second one, as the model's inputs."""
        filled = self.rows.fill([self.rows.row(*each) for each in pairs])
        return self.bound.inputs(filled.tokens, filled.keep, filled.segments)


def _parted(data: Prepared, mark: Mark) -> list[tuple[str, Diagnostic]]:
    """Say where two texts share a row and the vocabulary has nothing to stand between them."""
    assert data.tokenizer is not None, "texts have a tokenizer"
    if getattr(tokens.marks(data.tokenizer), mark) is not None:
        return []
    message = f"the mark `{mark}` stands between two texts, and the tokenizer does not have it"
    help_ = f"add it to the file ({tokens.MARKS[mark]}), or let a tokenizer be made here"
    return [("train.tokenizer", Diagnostic("R751", message, label="lacks it", help=help_))]


def _shown(words: Input, tokenizer: Tokenizer, put: Sequence[Mark]) -> list[tuple[str, Diagnostic]]:
    """Say where a pool looks for a token that is not one of the marks which are `put` into every row."""
    if words.shown is None:
        return []
    known = tokens.marks(tokenizer)
    there = {mark: getattr(known, mark) for mark in put if getattr(known, mark) is not None}
    highest = words.shown == "highest"
    token = tokens.size(tokenizer) - 1 if highest else words.shown
    if token in there.values():
        return []
    what = f"the highest token, {token:,}" if highest else f"the token {token:,}"
    has = ", ".join(f"`{mark}` {there[mark]:,}" for mark in there) or "no marks"
    message = f"a pool takes the position of {what}, which is no mark of this tokenizer's texts: they have {has}"
    last = next((there[mark] for mark in reversed(put) if mark in there), None)
    help_ = "give a tokenizer that has the marks" if last is None else f"write `token: {last}` at the pool"
    return [("train.tokenizer", Diagnostic("R872", message, label="not in every text", help=help_))]


def shortened(one: int, two: int, room: int) -> tuple[int, int]:
    """Return how much of two lengths is kept so that both fit into `room`: the longer one gives way first."""
    over = max(0, one + two - room)
    fewer, more = min(one, two), max(one, two)
    cut = min(over, more - fewer)
    rest = over - cut
    fewer, more = fewer - rest // 2, more - cut - (rest + 1) // 2
    return (more, fewer) if one > two else (fewer, more)
