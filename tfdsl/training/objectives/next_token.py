"""next_token: each token of a text, given those before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfdsl import settings, tokens
from tfdsl.data.chat import EARLIER
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.training import answers, binding, crossentropy, figures, head
from tfdsl.training.answers import ASKED, PROMPT, Answers
from tfdsl.training.crossentropy import IGNORED
from tfdsl.training.packing import Cut, Packing, Whole
from tfdsl.training.processes import Processes
from tfdsl.training.task import Batch, Measured, Model, Place, Task

ANSWER = "answer"


@dataclass(slots=True, eq=False)
class NextToken(Task):
    """Rows of `context` tokens and their successors, as `packing` lays text into them.

    Of data with a `prompt` and an `answer` each example is read whole, and the tokens of answers alone count.
    """

    bound: binding.Bound
    packing: Packing
    smoothing: float
    z: float = 0.0
    bytes_a_token: float = 1.0
    answers: Answers | None = None

    @property
    def wanted(self) -> Wanted:
        earlier = Field(EARLIER, "turns", optional=True, of=PROMPT)
        return Wanted(((Field("text"),), (ASKED, Field(ANSWER), earlier)), whole=True)

    def against(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        if ANSWER in data.train.columns:
            if not isinstance(self.packing, Cut):
                message = "`packing` lays texts into rows, and prompts with their answers have a row each"
                return [("train.data.packing", Diagnostic("R786", message, label="not honoured"))]
            return answers.against(data, (ANSWER,), self.packing.context)
        train, held_out = _text(data.train), _text(data.held_out)
        sizes = [len(each.values) for each in (train, held_out)]
        if sizes[0] > self.packing.least() and sizes[1] > 1:
            return [] if self.packing.tells(train) and self.packing.tells(held_out) else [_single()]
        message = f"the text has {sizes[0]:,} tokens to train on and {sizes[1]:,} held out"
        wanted = f"sequences of {self.packing.context:,} tokens want more than {self.packing.least():,}"
        help_ = f"{wanted}: give more text, or a smaller `train.context`"
        return [("train.context", Diagnostic("R708", message, label="too little text", help=help_))]

    def open(self, data: Prepared) -> None:
        if ANSWER in data.train.columns:
            assert data.tokenizer is not None, "texts come with a tokenizer"
            end = tokens.marks(data.tokenizer).end
            assert end is not None, "the data were looked at"
            self.answers = Answers(end, self.bound.words.pad or 0)
            self.bytes_a_token = answers.bytes_a_token(data.held_out, ANSWER, data.tokenizer)
            return
        self.bytes_a_token = data.held_out.sizes["text"] / max(1, len(_text(data.held_out).values) - 1)

    def examples(self, table: Table, epoch: int) -> int:
        if self.answers is not None:
            return len(table)
        return self.packing.examples(_text(table), epoch)

    def lengths(self, table: Table) -> NDArray[np.int64] | None:
        return None if self.answers is None else answers.lengths(table, PROMPT, ANSWER)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        if self.answers is not None:
            read_BT, keep_BT, told_BT = self.answers.rows(table, [each.index for each in places], ANSWER)
            count = int((told_BT != IGNORED).sum())
            return Batch(self.bound.inputs(read_BT, keep_BT), {"tokens": told_BT}, count, told_BT.numel())
        rows = self.packing.rows(_text(table), places)
        inputs = self.bound.inputs(rows.tokens, keep_BT=rows.keep, documents_BT=rows.documents)
        return Batch(inputs, {"tokens": rows.targets}, rows.count, rows.targets.numel())

    def loss(self, model: Model, batch: Batch) -> Tensor:
        given = head.given(model, batch.inputs, self.bound.output)
        return crossentropy.summed(given, batch.targets["tokens"], self.smoothing, self.z)

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        total = torch.zeros(5, dtype=torch.float64)  # loss, targets; right ones, answers, right ones
        for batch in batches:
            given, targets_BT = head.given(model, batch.inputs, self.bound.output), batch.targets["tokens"]
            loss, told = crossentropy.summed(given, targets_BT).item(), (0, 0, 0)
            if self.answers is not None:
                right_N = figures.likeliest(given, targets_BT)
                exact_B = answers.all_right(right_N, targets_BT)
                told = (int(right_N.sum()), len(exact_B), int(exact_B.sum()))
            total += torch.tensor([loss, batch.count, *told], dtype=torch.float64)
        loss, count, right, rows, exact = processes.total(total).tolist()
        mean = loss / count
        found = {"bits a byte": mean / math.log(2) / self.bytes_a_token, "perplexity": figures.perplexity(mean)}
        if rows:
            found |= {"accuracy": right / count, "exact match": exact / rows}
        return Measured(mean, int(count), found)


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, list[tuple[str, Diagnostic]]]:
    """Bind next-token training to a model of one text, or say why that cannot be."""
    bound, problems = binding.fitted(train, signature)
    if bound is None:
        return None, problems
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
