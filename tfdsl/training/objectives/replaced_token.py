"""replaced_token: which words of a text were replaced by others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl import settings
from tfdsl.data.table import Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.roles import Signature
from tfdsl.settings.objective import ReplacedToken as Chosen
from tfdsl.training import binding
from tfdsl.training.figures import wide
from tfdsl.training.hidden import EDGES, Hidden
from tfdsl.training.processes import Processes
from tfdsl.training.task import Batch, Measured, Model, Place, Task
from tfdsl.training.windows import draws

ORIGINAL, REPLACED, MARK = 0.0, 1.0, -1.0


@dataclass(slots=True, eq=False, kw_only=True)
class ReplacedToken(Hidden):
    """The words chosen are drawn anew by how often they occur; one that comes out as it was is not replaced."""

    @property
    def wanted(self) -> Wanted:
        return Wanted(((Field("text"),),), marks=EDGES, spare=EDGES, whole=True)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        rows_BT, chosen, new_BT = self.drawn(table, places)
        shown_BT, edges = rows_BT.copy(), np.cumsum(self.often)
        for place, shown_T, chosen_T in zip(places, shown_BT, chosen, strict=True):
            points = draws(self.seed, place, 5).integers(edges[-1], size=int(chosen_T.sum()))
            shown_T[chosen_T] = np.searchsorted(edges, points, side="right")
        told_BT = np.where(new_BT, np.where(shown_BT != rows_BT, REPLACED, ORIGINAL), MARK)
        shown = self.between(shown_BT, self.marks.first, self.marks.separator)
        inputs = self.bound.inputs(shown, documents_BT=self.documents(table, places))
        sides = [None if mark is None else int(MARK) for mark in (self.marks.first, self.marks.separator)]
        told = self.between(told_BT.astype(np.int64), *sides)
        return Batch(inputs, {"replaced": told}, int((told >= 0).sum()), told.numel())

    def loss(self, model: Model, batch: Batch) -> Tensor:
        logits_N, told_N = self._counted(model, batch)
        return F.binary_cross_entropy_with_logits(logits_N, told_N, reduction="sum")

    def _counted(self, model: Model, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the logits and the answers of all words, without the marks."""
        logits_BT = wide(binding.result(model, batch.inputs, self.bound.output))
        told_BT = batch.targets["replaced"]
        counted_BT = told_BT >= 0
        return logits_BT[counted_BT], told_BT[counted_BT].to(logits_BT.dtype)

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        total = torch.zeros(6, dtype=torch.float64)
        for batch in batches:
            logits_N, told_N = self._counted(model, batch)
            loss = F.binary_cross_entropy_with_logits(logits_N, told_N, reduction="sum")
            said_N, true_N = logits_N > 0, told_N > 0
            parts = (
                loss,
                torch.tensor(batch.count),
                (said_N == true_N).sum(),
                said_N.sum(),
                true_N.sum(),
                (said_N & true_N).sum(),
            )
            total += torch.tensor([each.item() for each in parts], dtype=torch.float64)
        loss, count, right, said, true, both = processes.total(total).tolist()
        figures = {"accuracy": right / max(1, count), "F1": 2 * both / max(1, said + true)}
        return Measured(loss / max(1, count), int(count), figures)


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, binding.Problems]:
    """Bind the finding of replaced words to a model of one text, or say why that cannot be."""
    assert isinstance(train.objective, Chosen), "bound by its name"
    bound, problems = binding.fitted(train, signature, whether=True)
    if bound is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    return ReplacedToken(bound, train.context, train.seed, train.objective.share), []
