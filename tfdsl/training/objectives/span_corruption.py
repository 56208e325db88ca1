"""span_corruption: the stretches that were cut out of a text, each behind the mark that stands in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tfdsl import settings, tokens
from tfdsl.data.table import Prepared, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.roles import Signature
from tfdsl.settings.objective import SpanCorruption as Chosen
from tfdsl.training import binding, text_to_text
from tfdsl.training.binding import Problems
from tfdsl.training.task import Place, Task
from tfdsl.training.text_to_text import TextToText, Tokens
from tfdsl.training.windows import Windows, draws


@dataclass(slots=True, eq=False, kw_only=True)
class SpanCorruption(TextToText):
    """Windows of a text, cut in two: what stays with marks for what is missing, and what is missing behind its marks.

    The window is the longest whose two parts fit the model.
    """

    share: float
    length: float
    extras: tuple[int, ...] = field(default=())

    @property
    def windows(self) -> Windows:
        """Return how the text is cut."""
        return Windows(widest(self.longest, self.share, self.length), self.seed)

    @property
    def wanted(self) -> Wanted:
        _, spans = cut(self.windows.size, self.share, self.length)
        return Wanted(((Field("text"),),), marks=("start", "end"), extras=spans, whole=True)

    def against(self, data: Prepared) -> Problems:
        return TextToText.against(self, data) + self.windows.against(data)

    def open(self, data: Prepared) -> None:
        TextToText.open(self, data)
        assert data.tokenizer is not None, "text comes with a tokenizer"
        self.extras = tokens.marks(data.tokenizer).extras

    def examples(self, table: Table, epoch: int) -> int:
        return self.windows.count(table, epoch)

    def pairs(self, table: Table, places: Sequence[Place]) -> list[tuple[Tokens, Tokens]]:
        rows_BT, _ = self.windows.rows(table, places)
        found: list[tuple[Tokens, Tokens]] = []
        for place, row_T in zip(places, rows_BT, strict=True):
            noise_T = noise(len(row_T), self.share, self.length, draws(self.seed, place, 6))
            found.append((marked(row_T, noise_T, self.extras), marked(row_T, ~noise_T, self.extras)))
        return found


def cut(size: int, share: float, length: float) -> tuple[int, int]:
    """Return how many of `size` tokens are cut out, and in how many stretches (Raffel et al., 2020, section 3.3.4)."""
    missing = min(max(round(size * share), 1), size - 1)
    return missing, min(max(round(missing / length), 1), missing, size - missing)


def widest(longest: tuple[int, int], share: float, length: float) -> int:
    """Return the most tokens whose two parts, with a mark a stretch and one at the end, fit `longest`; at least 2."""
    size = 2
    while True:
        missing, spans = cut(size + 1, share, length)
        if size + 1 - missing + spans + 1 > longest[0] or missing + spans + 1 > longest[1]:
            return size
        size += 1


def noise(size: int, share: float, length: float, drawn: np.random.Generator) -> NDArray[np.bool_]:
    """Return which of `size` tokens are cut out: stretches of random lengths in turn with what stays, which is first.

    All ways to part the tokens so, none of the parts empty, are equally likely.
    """
    missing, spans = cut(size, share, length)
    stays, goes = (_parted(many, spans, drawn) for many in (size - missing, missing))
    lengths = np.stack((stays, goes), 1).reshape(-1)
    return np.repeat(np.arange(2 * spans) % 2 == 1, lengths)


def _parted(many: int, parts: int, drawn: np.random.Generator) -> NDArray[np.int64]:
    """Return `parts` lengths from 1 up that add up to `many`."""
    edges = np.sort(drawn.permutation(many - 1)[: parts - 1]) + 1
    return np.diff(np.concatenate(([0], edges, [many])))


def marked(row_T: Tokens, gone_T: NDArray[np.bool_], extras: Sequence[int]) -> Tokens:
    """Return the tokens that are not `gone`, the first token of each stretch that is gone as its numbered mark."""
    first_T = gone_T & ~np.concatenate(([False], gone_T[:-1]))
    shown_T = row_T.copy()
    shown_T[first_T] = extras[: int(first_T.sum())]
    return shown_T[~gone_T | first_T]


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, Problems]:
    """Bind span corruption to a model of two texts, or say why that cannot be."""
    chosen = train.objective
    assert isinstance(chosen, Chosen), "bound by its name"
    pair, problems = binding.pair(signature, "span_corruption")
    if pair is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    longest, problems = text_to_text.longest(train.context, pair, dict(signature.limits))
    if problems:
        return None, problems
    return SpanCorruption(
        pair, longest, train.seed, train.label_smoothing, train.z_loss, 0, share=chosen.share, length=chosen.length
    ), []
