"""masked_token: words of a text that were hidden, given the rest of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfdsl import settings
from tfdsl.data.table import Prepared, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.roles import Signature
from tfdsl.settings.objective import MaskedToken as Chosen
from tfdsl.training import binding, head
from tfdsl.training.crossentropy import IGNORED, summed
from tfdsl.training.figures import hits, perplexity
from tfdsl.training.hidden import EDGES, Hidden
from tfdsl.training.processes import Processes
from tfdsl.training.task import Batch, Measured, Model, Place, Task
from tfdsl.training.windows import draws


@dataclass(slots=True, eq=False, kw_only=True)
class MaskedToken(Hidden):
    """Of the words chosen, a share becomes the mask, a share another word, and the rest stays (Devlin et al., 2019)."""

    masked: float
    random: float
    smoothing: float
    z: float
    plain: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))

    @property
    def wanted(self) -> Wanted:
        return Wanted(((Field("text"),),), marks=("mask", *EDGES), spare=EDGES, whole=True)

    def open(self, data: Prepared) -> None:
        Hidden.open(self, data)
        assert data.tokenizer is not None, "text comes with a tokenizer"
        special = {token for token, added in data.tokenizer.get_added_tokens_decoder().items() if added.special}
        self.plain = np.array(sorted(set(data.tokenizer.get_vocab().values()) - special))

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        rows_BT, chosen, _ = self.drawn(table, places)
        targets_BT = np.full_like(rows_BT, IGNORED)
        shown_BT = rows_BT.copy()
        for place, row_T, target_T, shown_T, chosen_T in zip(
            places, rows_BT, targets_BT, shown_BT, chosen, strict=True
        ):
            target_T[chosen_T] = row_T[chosen_T]
            drawn = draws(self.seed, place, 4)
            way_T = drawn.random(len(row_T))
            other_T = self.plain[drawn.integers(len(self.plain), size=len(row_T))]
            shown_T[chosen_T & (way_T < self.masked)] = self.marks.mask
            other = chosen_T & (way_T >= self.masked) & (way_T < self.masked + self.random)
            shown_T[other] = other_T[other]
        shown = self.between(shown_BT, self.marks.first, self.marks.separator)
        inputs = self.bound.inputs(shown, documents_BT=self.documents(table, places))
        edges = [None if mark is None else IGNORED for mark in (self.marks.first, self.marks.separator)]
        targets = self.between(targets_BT, *edges)
        return Batch(inputs, {"tokens": targets}, int((targets != IGNORED).sum()), targets.numel())

    def loss(self, model: Model, batch: Batch) -> Tensor:
        given = head.given(model, batch.inputs, self.bound.output)
        return summed(given, batch.targets["tokens"], self.smoothing, self.z)

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        total = torch.zeros(3, dtype=torch.float64)
        often_V = torch.zeros(self.bound.words.vocab, dtype=torch.float64)
        for batch in batches:
            targets_BT, given = batch.targets["tokens"], head.given(model, batch.inputs, self.bound.output)
            parts = (summed(given, targets_BT).item(), batch.count, hits(given, targets_BT))
            total += torch.tensor(parts, dtype=torch.float64)
            often_V += torch.bincount(targets_BT[targets_BT != IGNORED].cpu(), minlength=len(often_V))
        loss, count, right = processes.total(total).tolist()
        common = processes.total(often_V).max().item()  # what the best of all answers that are always the same gets
        mean = loss / max(1, count)
        figures = {"accuracy": right / max(1, count), "perplexity": perplexity(mean)}
        figures["times the unigram baseline"] = right / max(1.0, common)
        return Measured(mean, int(count), figures)


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, binding.Problems]:
    """Bind masked words to a model of one text, or say why that cannot be."""
    chosen = train.objective
    assert isinstance(chosen, Chosen), "bound by its name"
    bound, problems = binding.fitted(train, signature)
    if bound is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    return MaskedToken(
        bound,
        train.context,
        train.seed,
        chosen.share,
        masked=chosen.masked,
        random=chosen.random,
        smoothing=train.label_smoothing,
        z=train.z_loss,
    ), []
