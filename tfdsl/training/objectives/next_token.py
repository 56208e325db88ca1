"""next_token: each token of a text, given those before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tfdsl import settings
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.training import binding, crossentropy, head
from tfdsl.training.crossentropy import IGNORED
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Batch, Measured, Model, Place, Task


@dataclass(slots=True, eq=False)
class NextToken(Task):
    """Windows of `context` tokens and their successors, cut from one long text at a random phase an epoch."""

    bound: binding.Bound
    context: int
    seed: int
    smoothing: float
    z: float = 0.0
    bytes_a_token: float = 1.0

    @property
    def wanted(self) -> Wanted:
        return Wanted(((Field("text"),),), whole=True)

    def against(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        sizes = [len(_text(table).values) for table in (data.train, data.held_out)]
        if sizes[0] > 2 * self.context and sizes[1] > 1:
            return []
        message = f"the text has {sizes[0]:,} tokens to train on and {sizes[1]:,} held out"
        wanted = f"sequences of {self.context:,} tokens want more than {2 * self.context:,}"
        help_ = f"{wanted}: give more text, or a smaller `train.context`"
        return [("train.context", Diagnostic("R708", message, label="too little text", help=help_))]

    def open(self, data: Prepared) -> None:
        self.bytes_a_token = data.held_out.sizes["text"] / max(1, len(_text(data.held_out).values) - 1)

    def examples(self, table: Table, epoch: int) -> int:
        length = len(_text(table).values) - 1
        return -(-length // self.context) if epoch == HELD_OUT else max(1, length // self.context - 1)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        tokens = _text(table).values
        last = len(tokens) - 1
        starts = np.array([self._phase(each.epoch, last) + each.index * self.context for each in places])
        at = starts[:, None] + np.arange(self.context + 1)
        rows = torch.from_numpy(tokens[np.minimum(at, last)].astype(np.int64))
        targets = rows[:, 1:].clone()
        if at.max() > last:  # the end of the held-out text is shorter than a window
            targets[torch.from_numpy(at[:, 1:] > last)] = IGNORED
        inputs = self.bound.inputs(rows[:, :-1].contiguous())
        return Batch(inputs, {"tokens": targets}, int((targets != IGNORED).sum()), targets.numel())

    def _phase(self, epoch: int, last: int) -> int:
        return 0 if epoch == HELD_OUT else _phase(self.seed, epoch, min(self.context, last + 1 - self.context))

    def loss(self, model: Model, batch: Batch) -> Tensor:
        return self._entropy(model, batch, self.smoothing, self.z)

    def _entropy(self, model: Model, batch: Batch, smoothing: float = 0.0, z: float = 0.0) -> Tensor:
        given = head.given(model, batch.inputs, self.bound.output)
        return crossentropy.summed(given, batch.targets["tokens"], smoothing, z)

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        total = torch.zeros(2, dtype=torch.float64)
        for batch in batches:
            total += torch.tensor([self._entropy(model, batch).item(), batch.count], dtype=torch.float64)
        loss, count = processes.total(total).tolist()
        mean = loss / count
        figures = {"bits a byte": mean / math.log(2) / self.bytes_a_token, "perplexity": math.exp(min(mean, 700))}
        return Measured(mean, int(count), figures)


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, list[tuple[str, Diagnostic]]]:
    """Bind next-token training to a model of one text, or say why that cannot be."""
    bound, problems = binding.text(signature, "next_token")
    if bound is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    most = signature.limits.get(str(bound.words.shape[1]))
    if most is not None and train.context > most:
        message = f"sequences of {train.context:,} tokens do not fit the model's {most:,} positions"
        help_ = f"set `train.context` to {most} or less, or make the position table longer"
        return None, [("train.context", Diagnostic("R705", message, label="too long", help=help_))]
    return NextToken(bound, train.context, train.seed, train.label_smoothing, train.z_loss), []


def _text(table: Table) -> Ragged:
    column = table.columns["text"]
    assert isinstance(column, Ragged), "text is a column of tokens"
    return column


@lru_cache(maxsize=4)
def _phase(seed: int, epoch: int, phases: int) -> int:
    return int(np.random.default_rng([seed, epoch, 1]).integers(phases))
