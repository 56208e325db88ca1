"""extract_span: where in a passage the answer to a question starts and ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from tfdsl import settings
from tfdsl.data.table import Array, Prepared, Ragged, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic, Note
from tfdsl.roles import Signature
from tfdsl.settings.objective import ExtractSpan as Chosen
from tfdsl.training import binding, scores
from tfdsl.training.figures import wide
from tfdsl.training.processes import Processes
from tfdsl.training.reader import positions
from tfdsl.training.rows import Texts
from tfdsl.training.spread import cross
from tfdsl.training.task import HELD_OUT, Batch, Measured, Model, Place, Task

Problems = list[tuple[str, Diagnostic]]
KIND = "a text [B, T] into a start and an end [B, T, 2]"
HELP = "give the model a head: `- linear: {id: ends, width: 2, bias: true}` behind its positions [B, T, D]"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the passage of an example, which is read with the question: its tokens `first` to before `last`."""

    example: int
    first: int
    last: int


@dataclass(slots=True, eq=False)
class ExtractSpan(Task):
    """A `question`, a `passage` and the `answer`, a stretch of it.

    Passages are read in windows that overlap by half. While training each window is an example; held out, each passage
    is one, its answer the best of all its windows.
    """

    reader: Texts
    output: str
    smoothing: float
    longest: int
    tokenizer: Tokenizer | None = None
    windows: tuple[Window, ...] = field(default=())

    @property
    def wanted(self) -> Wanted:
        fields = (Field("question"), Field("passage"), Field("answer", "stretch", of="passage"))
        return Wanted((fields,), self.reader.marks)

    def against(self, data: Prepared) -> Problems:
        return self.reader.against(data)

    def remarks(self, data: Prepared) -> Problems:
        lengths = [np.diff(_ragged(table, "question").offsets) for table in (data.train, data.held_out)]
        whole, room = np.concatenate(lengths), self._most
        if not (whole > room).any():
            return []
        message = f"{(whole > room).sum():,} of {len(whole):,} questions have more than {room:,} tokens and are cut"
        note = Note(f"half of the positions are the passage's; the longest question has {whole.max():,} tokens")
        help_ = "a longer `train.context` cuts fewer, as far as the model has positions; or ask shorter questions"
        return [("train.context", Diagnostic("W621", message, label="too short for them", notes=(note,), help=help_))]

    def open(self, data: Prepared) -> None:
        self.reader.open(data)
        self.tokenizer = data.tokenizer
        table = data.train
        self.windows = tuple(each for index in range(len(table)) for each in self._cut(table, index))

    def examples(self, table: Table, epoch: int) -> int:
        return len(table) if epoch == HELD_OUT else len(self.windows)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        chosen: list[Window] = []
        for place in places:
            chosen += self._cut(table, place.index) if place.epoch == HELD_OUT else [self.windows[place.index]]
        rows = [self._row(table, each) for each in chosen]
        filled = self.reader.rows.fill([row for row, _, _ in rows])
        inputs = self.reader.bound.inputs(filled.tokens, filled.keep, filled.segments)
        inside = torch.zeros_like(filled.keep)
        for at, (_, where, _) in enumerate(rows):
            inside[at, where] = 1
        targets = {
            "ends": torch.tensor([answer for _, _, answer in rows], dtype=torch.int64).view(-1, 2),
            "tokens": filled.tokens,
            "keep": filled.keep,
            "inside": inside,
            "example": torch.tensor([each.example for each in chosen], dtype=torch.int64),
            "truth": _truths(table, chosen),
        }
        return Batch(inputs, targets, len(rows), positions(inputs))

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """Return half the cross-entropy of where the answers start, and half that of where they end."""
        return self._loss(self._ends(model, batch), batch)

    def _loss(self, ends_BT2: Tensor, batch: Batch) -> Tensor:
        scores_BT2 = ends_BT2.masked_fill(batch.targets["keep"][..., None] == 0, -torch.inf)
        scores_QT = scores_BT2.transpose(1, 2).flatten(0, 1)
        right_QT = F.one_hot(batch.targets["ends"].flatten(), scores_QT.shape[1])
        return 0.5 * cross(scores_QT, right_QT, self.smoothing).sum()

    def _ends(self, model: Model, batch: Batch) -> Tensor:
        return wide(binding.result(model, batch.inputs, self.output))

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        """Return the loss, and how often answers are exact and how much of their words is right (Rajpurkar, 2016)."""
        sums = torch.zeros(5, dtype=torch.float64)  # loss, windows, exact matches, F1, passages
        for batch in (each for each in batches if each.count):
            ends_BT2 = self._ends(model, batch)
            sums[:2] += torch.tensor([self._loss(ends_BT2, batch).item(), batch.count], dtype=torch.float64)
            for said, true in self._answers(ends_BT2, batch):
                worth = [scores.exact(said, true), scores.overlap(said, true), 1.0]
                sums[2:] += torch.tensor(worth, dtype=torch.float64)
        loss, windows, exact, overlap, passages = processes.total(sums).tolist()
        return Measured(loss / windows, int(windows), {"exact match": exact / passages, "F1": overlap / passages})

    def _answers(self, ends_BT2: Tensor, batch: Batch) -> list[tuple[str, str]]:
        """Return, of each passage of a batch, the answer that is given and the true one."""
        assert self.tokenizer is not None, "texts have a tokenizer"
        parts = (each.tolist() for each in best(ends_BT2, batch.targets["inside"].bool(), self.longest))
        windows = list(zip(batch.targets["example"].tolist(), *parts, strict=True))
        found: list[tuple[str, str]] = []
        for example in dict.fromkeys(each[0] for each in windows):
            at = max((row for row, each in enumerate(windows) if each[0] == example), key=lambda row: windows[row][1])
            _, _, first, last = windows[at]
            truth = batch.targets["truth"][at]
            said = batch.targets["tokens"][at, first : last + 1]
            found.append((self.tokenizer.decode(said.tolist()), self.tokenizer.decode(truth[truth >= 0].tolist())))
        return found

    def _cut(self, table: Table, index: int) -> list[Window]:
        """Return the windows of a passage: as many tokens as fit behind the question, each half a window further."""
        length = len(table.columns["passage"][index])
        room = self._room(table.columns["question"][index])
        if length <= room:
            return [Window(index, 0, length)]
        step = max(1, room // 2)
        firsts = range(0, length - room + step, step)
        return [Window(index, min(each, length - room), min(each, length - room) + room) for each in firsts]

    def _asked(self, question: Array) -> Array:
        """Return as much of a question as leaves half of the positions to the passage."""
        return question[: self._most]

    @property
    def _most(self) -> int:
        """Return the most tokens of a question."""
        return max(1, self.reader.rows.most // 2 - self.reader.rows.between)

    def _room(self, question: Array) -> int:
        return self.reader.rows.most - self.reader.rows.between - len(self._asked(question))

    def _row(self, table: Table, window: Window) -> tuple[tuple[NDArray[np.int64], int], slice, tuple[int, int]]:
        """Return a row, where in it the passage stands, and where the answer starts and ends: (0, 0) if not there."""
        question = self._asked(table.columns["question"][window.example])
        passage = table.columns["passage"][window.example][window.first : window.last]
        row = self.reader.rows.row(question, passage)
        begun = row[1]
        first, last = (int(each) for each in table.columns["answer"][window.example])
        held = window.first <= first and last < window.last
        answer = (begun + first - window.first, begun + last - window.first) if held else (0, 0)
        return row, slice(begun, begun + len(passage)), answer


def best(ends_BT2: Tensor, inside_BT: Tensor, longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the score, the start and the end of the best stretch of each row that lies inside, `longest` at most."""
    start_BT, end_BT = ends_BT2.masked_fill(~inside_BT[..., None], -torch.inf).unbind(2)
    length = start_BT.shape[1]
    place = torch.arange(length, device=start_BT.device)
    ahead_TT = place[None, :] - place[:, None]
    open_TT = (ahead_TT >= 0) & (ahead_TT < longest)
    score_BTT = (start_BT[:, :, None] + end_BT[:, None, :]).masked_fill(~open_TT, -torch.inf)
    score_B, at_B = score_BTT.flatten(1).max(1)
    return score_B, at_B // length, at_B % length


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, Problems]:
    """Bind span extraction to a model of one text, or say why that cannot be."""
    chosen = train.objective
    assert isinstance(chosen, Chosen), "found by the name of its type"
    output, problems = binding.head(signature, "extract_span", KIND, 3, HELP, last=2)
    if output is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    bound, problems = binding.rows(train, signature, KIND, output)
    if bound is None:
        return None, problems
    return ExtractSpan(Texts(bound, train.context), output, train.label_smoothing, chosen.longest), []


def _ragged(table: Table, name: str) -> Ragged:
    column = table.columns[name]
    assert isinstance(column, Ragged), "texts are rows of tokens"
    return column


def _truths(table: Table, windows: Sequence[Window]) -> Tensor:
    """Return the tokens of the answers, a row a window, filled up with -1."""
    found: list[Array] = []
    for each in windows:
        first, last = (int(at) for at in table.columns["answer"][each.example])
        found.append(table.columns["passage"][each.example][first : last + 1])
    rows = np.full((len(found), max((len(each) for each in found), default=0)), -1, np.int64)
    for at, each in enumerate(found):
        rows[at, : len(each)] = each
    return torch.from_numpy(rows)
