"""next_token: each token of a text, given those before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tfdsl import settings, tokens
from tfdsl.data.table import Prepared, Ragged, Table, windows
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.training import answers, binding, crossentropy, figures, head
from tfdsl.training.answers import PROMPT, Answers
from tfdsl.training.crossentropy import IGNORED
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Batch, Measured, Model, Place, Task

ANSWER = "answer"


@dataclass(slots=True, eq=False)
class NextToken(Task):
    """Windows of `context` tokens and their successors, cut from one long text at a random phase an epoch.

    Of data with a `prompt` and an `answer` each example is read whole, and the answer's tokens alone count.
    """

    bound: binding.Bound
    context: int
    seed: int
    smoothing: float
    z: float = 0.0
    bytes_a_token: float = 1.0
    answers: Answers | None = None

    @property
    def wanted(self) -> Wanted:
        return Wanted(((Field("text"),), (Field(PROMPT), Field(ANSWER))), whole=True)

    def against(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        if ANSWER in data.train.columns:
            return answers.against(data, (ANSWER,), self.context)
        sizes = [len(_text(table).values) for table in (data.train, data.held_out)]
        if sizes[0] > 2 * self.context and sizes[1] > 1:
            return []
        message = f"the text has {sizes[0]:,} tokens to train on and {sizes[1]:,} held out"
        wanted = f"sequences of {self.context:,} tokens want more than {2 * self.context:,}"
        help_ = f"{wanted}: give more text, or a smaller `train.context`"
        return [("train.context", Diagnostic("R708", message, label="too little text", help=help_))]

    def open(self, data: Prepared) -> None:
        if ANSWER in data.train.columns:
            assert data.tokenizer is not None, "texts come with a tokenizer"
            end = tokens.marks(data.tokenizer).end
            assert end is not None, "the data were looked at"
            self.answers = Answers(end, self.bound.words.pad or 0)
            self.bytes_a_token = data.held_out.sizes[ANSWER] / max(1, int(answers.lengths(data.held_out, ANSWER).sum()))
            return
        self.bytes_a_token = data.held_out.sizes["text"] / max(1, len(_text(data.held_out).values) - 1)

    def examples(self, table: Table, epoch: int) -> int:
        if self.answers is not None:
            return len(table)
        length = len(_text(table).values) - 1
        return -(-length // self.context) if epoch == HELD_OUT else max(1, length // self.context - 1)

    def lengths(self, table: Table) -> NDArray[np.int64] | None:
        return None if self.answers is None else answers.lengths(table, PROMPT, ANSWER)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        if self.answers is not None:
            read_BT, keep_BT, told_BT = self.answers.rows(table, [each.index for each in places], ANSWER)
            count = int((told_BT != IGNORED).sum())
            return Batch(self.bound.inputs(read_BT, keep_BT), {"tokens": told_BT}, count, told_BT.numel())
        text = _text(table).values
        last = len(text) - 1
        starts = np.array([self._phase(each.epoch, last) + each.index * self.context for each in places])
        rows = torch.from_numpy(windows(text, starts, self.context + 1))
        targets = rows[:, 1:].clone()
        if starts.max() + self.context > last:  # the end of the held-out text is shorter than a window
            at = starts[:, None] + np.arange(1, self.context + 1)
            targets[torch.from_numpy(at > last)] = IGNORED
        inputs = self.bound.inputs(rows[:, :-1].contiguous())
        return Batch(inputs, {"tokens": targets}, int((targets != IGNORED).sum()), targets.numel())

    def _phase(self, epoch: int, last: int) -> int:
        return 0 if epoch == HELD_OUT else _phase(self.seed, epoch, min(self.context, last + 1 - self.context))

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
    bound, problems = binding.text(signature, "next_token")
    if bound is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    problems = binding.fits(train, signature, bound)
    if problems:
        return None, problems
    return NextToken(bound, train.context, train.seed, train.label_smoothing, train.z_loss), []


def _text(table: Table) -> Ragged:
    column = table.columns["text"]
    assert isinstance(column, Ragged), "text is a column of tokens"
    return column


@lru_cache(maxsize=4)
def _phase(seed: int, epoch: int, phases: int) -> int:
    return int(np.random.default_rng([seed, epoch, 1]).integers(phases))
