"""next_token: each token of a text, given those before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tfdsl import settings
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.training import binding, crossentropy, head
from tfdsl.training.packing import Cut, Packing, Whole
from tfdsl.training.processes import Processes
from tfdsl.training.task import Batch, Measured, Model, Place, Task


@dataclass(slots=True, eq=False)
class NextToken(Task):
    """Rows of `context` tokens and their successors, as `packing` lays text into them."""

    bound: binding.Bound
    packing: Packing
    smoothing: float
    z: float = 0.0
    bytes_a_token: float = 1.0

    @property
    def wanted(self) -> Wanted:
        return Wanted(((Field("text"),),), whole=True)

    def against(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        train, held_out = _text(data.train), _text(data.held_out)
        sizes = [len(each.values) for each in (train, held_out)]
        if sizes[0] > self.packing.least() and sizes[1] > 1:
            return [] if self.packing.tells(train) and self.packing.tells(held_out) else [_single()]
        message = f"the text has {sizes[0]:,} tokens to train on and {sizes[1]:,} held out"
        wanted = f"sequences of {self.packing.context:,} tokens want more than {self.packing.least():,}"
        help_ = f"{wanted}: give more text, or a smaller `train.context`"
        return [("train.context", Diagnostic("R708", message, label="too little text", help=help_))]

    def open(self, data: Prepared) -> None:
        self.bytes_a_token = data.held_out.sizes["text"] / max(1, len(_text(data.held_out).values) - 1)

    def examples(self, table: Table, epoch: int) -> int:
        return self.packing.examples(_text(table), epoch)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        rows = self.packing.rows(_text(table), places)
        inputs = self.bound.inputs(rows.tokens, keep_BT=rows.keep, documents_BT=rows.documents)
        return Batch(inputs, {"tokens": rows.targets}, rows.count, rows.targets.numel())

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
    packing, problems = _packing(train, bound)
    return (NextToken(bound, packing, train.label_smoothing, train.z_loss) if packing is not None else None), problems


def _packing(train: settings.Train, bound: binding.Bound) -> tuple[Packing | None, list[tuple[str, Diagnostic]]]:
    """Return how text is laid into rows, or why the model cannot read such rows."""
    assert train.context is not None, "the context is settled before"
    apart, pad = bool(bound.documents), bound.words.pad
    kind = train.data.packing if train.data is not None else "cut"
    if kind == "cut":
        return Cut(train.context, train.seed, apart), []
    if not apart and pad is None and not bound.masks:
        name = bound.words.name
        message = "`packing: whole` fills rows up, and the model takes the filling for text"
        help_ = (
            f"let several documents share a row: `inputs: {{documents: {{shape: [B, T], parts: {name}}}}}`; "
            "or say which token stands for nothing: `pad: 0`"
        )
        return None, [("train.data.packing", Diagnostic("R787", message, label="which token is no text?", help=help_))]
    return Whole(train.context, train.seed, apart, pad or 0), []


def _single() -> tuple[str, Diagnostic]:
    message = "no document has two tokens, and none foretells those of another"
    return "train.data", Diagnostic("R788", message, label="nothing to learn from", help="give longer documents")


def _text(table: Table) -> Ragged:
    column = table.columns["text"]
    assert isinstance(column, Ragged), "text is a column of tokens"
    return column
