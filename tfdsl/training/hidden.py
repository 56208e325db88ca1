"""Windows of text in which some words are hidden or replaced: what both objectives of that sort share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from tfdsl import tokens
from tfdsl.data.table import Prepared, Table
from tfdsl.data.wanted import Mark
from tfdsl.diagnostics import Diagnostic
from tfdsl.training import binding
from tfdsl.training.task import Place, Task
from tfdsl.training.windows import Tokens, Windows, counts, draws

Draw = NDArray[np.bool_]
LEAST = 3  # positions: a word between its marks
EDGES: tuple[Mark, Mark] = ("first", "separator")  # what a window stands between, where the vocabulary has them


@dataclass(slots=True, eq=False)
class Hidden(Task):
    """Windows between the marks `first` and `separator`, where the vocabulary has them; a `share` of each is chosen.

    The windows are two tokens shorter than `context` in any case. `often` is how often each word stands in the text.
    """

    bound: binding.Bound
    context: int
    seed: int
    share: float
    marks: tokens.Marks = field(default_factory=tokens.Marks)
    often: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))

    @property
    def windows(self) -> Windows:
        """Return how the text is cut."""
        return Windows(self.context - 2, self.seed)

    def against(self, data: Prepared) -> binding.Problems:
        if self.context < LEAST:
            message = f"{self.context} positions are too few for a word between its marks"
            return [("train.context", Diagnostic("R808", message, label="too few", help=f"{LEAST} are the least"))]
        return self.windows.against(data)

    def open(self, data: Prepared) -> None:
        assert data.tokenizer is not None, "text comes with a tokenizer"
        self.marks = tokens.marks(data.tokenizer)
        self.often = counts(data.train, self.bound.words.vocab)

    def examples(self, table: Table, epoch: int) -> int:
        return self.windows.count(table, epoch)

    def drawn(self, table: Table, places: Sequence[Place]) -> tuple[Tokens, list[Draw], Draw]:
        """Return the words [B, T], for each row which were chosen, and which positions are new to a measurement."""
        rows_BT, new_BT = self.windows.rows(table, places)
        found: list[Draw] = []
        for place, new_T in zip(places, new_BT, strict=True):
            chosen_T, size = np.zeros(len(new_T), np.bool_), len(new_T)
            picked = draws(self.seed, place, 3).permutation(size)[: max(1, round(size * self.share))]
            chosen_T[picked] = True
            found.append(chosen_T & new_T)
        return rows_BT, found, new_BT

    def documents(self, table: Table, places: Sequence[Place]) -> torch.Tensor | None:
        """Return the document of each position, its marks among them, where the model is told of documents."""
        if not self.bound.documents:
            return None
        marks = [int(mark is not None) for mark in (self.marks.first, self.marks.separator)]
        return torch.from_numpy(np.pad(self.windows.documents(table, places), ((0, 0), (marks[0], marks[1])), "edge"))

    def between(self, rows_BT: Tokens, first: int | None, last: int | None) -> torch.Tensor:
        """Return rows [B, T] with one token before and one behind each, where such a token is given."""
        before, behind = (
            np.full((len(rows_BT), int(token is not None)), token or 0, np.int64) for token in (first, last)
        )
        return torch.from_numpy(np.concatenate((before, rows_BT, behind), 1))
