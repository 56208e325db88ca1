"""preference: the better of two answers over the other one, measured from the model that the run starts with."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tfdsl import disk, settings, tokens
from tfdsl.data.manifest import Damaged
from tfdsl.data.table import Prepared, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.heads import Unscored
from tfdsl.roles import Signature
from tfdsl.settings.objective import Preference as Chosen
from tfdsl.training import answers, binding, head
from tfdsl.training.answers import Answers
from tfdsl.training.crossentropy import IGNORED
from tfdsl.training.figures import wide
from tfdsl.training.processes import Processes
from tfdsl.training.task import Batch, Measured, Model, Place, Task

SIDES = ("chosen", "rejected")
REFERENCE = "reference.npy"  # in the run's folder: what the first model said of each answer
ROWS = 16  # examples at a time when the first model is asked


@dataclass(slots=True, eq=False)
class Preference(Task):
    """Pairs of answers to a prompt (Rafailov et al., 2023, equation 7)."""

    begins_trained = True
    bound: binding.Bound
    context: int
    beta: float
    answers: Answers = Answers(0, 0)
    held: Table | None = None
    reference: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])

    @property
    def wanted(self) -> Wanted:
        return Wanted(((answers.ASKED, *(Field(name) for name in SIDES)),), marks=("end",))

    def against(self, data: Prepared) -> binding.Problems:
        return answers.against(data, SIDES, self.context)

    def open(self, data: Prepared) -> None:
        assert data.tokenizer is not None, "texts come with a tokenizer"
        end = tokens.marks(data.tokenizer).end
        assert end is not None, "the data were asked for this mark"
        self.answers, self.held = Answers(end, self.bound.words.pad or 0), data.held_out

    def begin(self, model: nn.Module, data: Prepared, folder: Path, fresh: bool) -> None:
        path = folder / REFERENCE
        if fresh:
            content = io.BytesIO()
            for table in (data.train, data.held_out):
                np.lib.format.write_array(content, self._told(model, table))
            disk.write(path, content.getvalue() + hashlib.sha256(content.getvalue()).digest())
        self.reference = _kept(path, len(data.train), len(data.held_out))

    def _told(self, model: nn.Module, table: Table) -> NDArray[np.float64]:
        """Return the logarithms of the probabilities that a model gives both answers of each example, [N, 2]."""
        rows = [range(at, min(at + ROWS, len(table))) for at in range(0, len(table), ROWS)]
        with torch.no_grad():
            device = next(model.parameters()).device
            told = [self._logs(model, self._read(table, each).to(device)).double().cpu().numpy() for each in rows]
        return np.concatenate(told)

    def examples(self, table: Table, epoch: int) -> int:
        return len(table)

    def lengths(self, table: Table) -> NDArray[np.int64]:
        return answers.lengths(table, answers.PROMPT, *SIDES)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        rows = [each.index for each in places]
        reference = self.reference.get("held_out" if table is self.held else "train")
        told = np.zeros((len(rows), 2)) if reference is None else reference[rows].reshape(-1, 2)  # none before `begin`
        read = self._read(table, rows)
        targets = {**read.targets, "reference": torch.from_numpy(told).float()}
        return Batch(read.inputs, targets, len(rows), read.tokens)

    def _read(self, table: Table, rows: Sequence[int]) -> Batch:
        """Return the chosen answers of some examples behind their prompts, and below them the rejected ones."""
        sides = [self.answers.rows(table, rows, side) for side in SIDES]
        most = max(read_BT.shape[1] for read_BT, _, _ in sides)
        fills = (self.answers.pad, 0, IGNORED)
        read_BT, keep_BT, targets_BT = (
            torch.cat([F.pad(side[at], (0, most - side[at].shape[1]), value=fill) for side in sides])
            for at, fill in enumerate(fills)
        )
        return Batch(self.bound.inputs(read_BT, keep_BT), {"tokens": targets_BT}, len(rows), read_BT.numel())

    def _logs(self, model: Model, batch: Batch) -> Tensor:
        """Return the logarithms of the probabilities of both answers, summed over their tokens, [B, 2]."""
        given, targets_BT = head.given(model, batch.inputs, self.bound.output), batch.targets["tokens"]
        keep_BT = targets_BT != IGNORED
        x_ND = (given.x if isinstance(given, Unscored) else given)[keep_BT]
        scores_NV = F.linear(x_ND, given.weight_VD, given.bias_V) if isinstance(given, Unscored) else x_ND
        logs_N = wide(scores_NV).log_softmax(-1).gather(1, targets_BT[keep_BT][:, None])[:, 0]
        row_N = keep_BT.nonzero()[:, 0]
        return logs_N.new_zeros(len(targets_BT)).index_add(0, row_N, logs_N).view(2, -1).t()

    def _margins(self, model: Model, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what the chosen answers have gained over the rejected, times beta, and the plain logarithms."""
        logs_B2 = self._logs(model, batch)
        gained_B2 = logs_B2 - batch.targets["reference"].to(logs_B2)
        return self.beta * (gained_B2[:, 0] - gained_B2[:, 1]), logs_B2

    def loss(self, model: Model, batch: Batch) -> Tensor:
        return -F.logsigmoid(self._margins(model, batch)[0]).sum()

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        total = torch.zeros(5, dtype=torch.float64)
        for batch in batches:
            margin_B, logs_B2 = self._margins(model, batch)
            likelier = (logs_B2[:, 0] > logs_B2[:, 1]).sum()
            parts = (-F.logsigmoid(margin_B).sum(), (margin_B > 0).sum(), margin_B.sum(), likelier)
            total += torch.tensor([batch.count, *(each.item() for each in parts)], dtype=torch.float64)
        count, loss, right, margin, likelier = processes.total(total).tolist()
        figures = {"accuracy": right / count, "margin": margin / count, "chosen is likelier": likelier / count}
        return Measured(loss / count, int(count), figures)


def _kept(path: Path, *lengths: int) -> dict[str, NDArray[np.float64]]:
    """Return what the first model said of the examples of both tables; raises Damaged."""
    try:
        kept = path.read_bytes()
        content = io.BytesIO(kept)
        found = [np.lib.format.read_array(content) for _ in lengths]
        sound = [each.shape for each in found] == [(length, 2) for length in lengths]
        rest = kept[content.tell() :]  # a run of an older version has no sum
        if not sound or (rest and rest != hashlib.sha256(kept[: content.tell()]).digest()):
            raise ValueError
    except (OSError, ValueError, EOFError):
        what = "is not what was written" if path.is_file() else "is missing"
        raise Damaged(f"`{path}`, what the first model said of each answer, {what}") from None
    return dict(zip(("train", "held_out"), found, strict=True))


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, binding.Problems]:
    """Bind preferences to a model of one text, or say why that cannot be."""
    assert isinstance(train.objective, Chosen), "bound by its name"
    bound, problems = binding.fitted(train, signature)
    if bound is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    return Preference(bound, train.context, train.objective.beta), []
