"""Texts as the rows of a batch: marked, cut to the longest that a model reads, and filled up to one length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfdsl import tokens
from tfdsl.data.table import Array, Prepared, Table
from tfdsl.data.wanted import Field, Mark
from tfdsl.diagnostics import Diagnostic
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
        width = self.most if self.exact else max((len(row) for row, _ in rows), default=1)
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
        if self.rows.most >= LEAST:
            return []
        message = f"{self.rows.most} positions are too few for a text and its marks"
        return [("train.context", Diagnostic("R808", message, label="too few", help=f"{LEAST} are the least"))]

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


def shortened(one: int, two: int, room: int) -> tuple[int, int]:
    """Return how much of two lengths is kept so that both fit into `room`: the longer one gives way first."""
    over = max(0, one + two - room)
    fewer, more = min(one, two), max(one, two)
    cut = min(over, more - fewer)
    rest = over - cut
    fewer, more = fewer - rest // 2, more - cut - (rest + 1) // 2
    return (more, fewer) if one > two else (fewer, more)
