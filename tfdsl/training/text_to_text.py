"""Train a model to write one text given another: the examples side by side, the loss, what it writes itself."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from tfdsl import settings, tokens
from tfdsl.data.table import Prepared, Table
from tfdsl.diagnostics import Diagnostic
from tfdsl.heads import Headed, Unscored
from tfdsl.sampling.answering import Answer, Held
from tfdsl.sampling.answering import Task as Writing
from tfdsl.sampling.greedy import greedy
from tfdsl.training import binding, head
from tfdsl.training.binding import Problems
from tfdsl.training.crossentropy import IGNORED, summed
from tfdsl.training.figures import hits, perplexity
from tfdsl.training.processes import Processes
from tfdsl.training.task import Batch, Measured, Model, Place, Task

Tokens = NDArray[np.int64]
WRITTEN = 200  # held-out examples that the model writes itself where the settings do not say


def written(train: settings.Train) -> int:
    """Return how many held-out examples the model writes itself at a measurement."""
    return WRITTEN if train.evaluate.generate is None else train.evaluate.generate


@dataclass(frozen=True, slots=True)
class Ends:
    """The tokens that a target starts behind and ends with."""

    start: int
    end: int


@dataclass(slots=True, eq=False)
class TextToText(Task):
    """Pairs of a source and a target, each with the mark `end`; the decoder reads the target behind `start`.

    `longest` is the most tokens of a source and of a target, with their marks; `generate` how many held-out examples
    the model is to write itself.
    """

    bound: binding.Pair
    longest: tuple[int, int]
    seed: int
    smoothing: float
    z: float
    generate: int
    marks: Ends = Ends(0, 0)
    bytes_a_target: float = 0.0

    @abstractmethod
    def pairs(self, table: Table, places: Sequence[Place]) -> list[tuple[Tokens, Tokens]]:
        """Return the source and the target of each place, both without `start` and `end`."""

    def against(self, data: Prepared) -> Problems:
        """Say where the decoder would start with what it does not see."""
        assert data.tokenizer is not None, "texts come with a tokenizer"
        start, pad = tokens.marks(data.tokenizer).start, self.bound.target.words.pad
        if start is None or start != pad:
            return []
        name = self.bound.target.words.name
        message = f"the tokenizer starts a text with token {start}, which `{name}` takes for padding and never looks at"
        help_ = f"leave `pad` out at `{name}`: a target that is filled up behind its end needs none"
        return [
            (f"inputs.{name}.pad", Diagnostic("R792", message, label="the first token of every target", help=help_))
        ]

    def open(self, data: Prepared) -> None:
        assert data.tokenizer is not None, "texts come with a tokenizer"
        found = tokens.marks(data.tokenizer)
        assert found.start is not None and found.end is not None, "the data were asked for these marks"
        self.marks = Ends(found.start, found.end)

    def rows(self, table: Table, places: Sequence[Place]) -> list[list[tuple[Tokens, Tokens]]]:
        """Return the pairs that share a row, for each place: one, where the model is not told of several."""
        return [[each] for each in self.pairs(table, places)]

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        end, start = self.marks.end, self.marks.start
        ended = [[tuple(np.append(text, end) for text in each) for each in row] for row in self.rows(table, places)]
        sources = [[source for source, _ in row] for row in ended]
        shifted = [[np.concatenate(([start], target[:-1])) for _, target in row] for row in ended]
        source_BS, source_keep_BS = filled([np.concatenate(row) for row in sources], self.bound.source.words.pad or 0)
        target_BT, target_keep_BT = filled([np.concatenate(row) for row in shifted], self.bound.target.words.pad or 0)
        wanted_BT, _ = filled([np.concatenate([target for _, target in row]) for row in ended], IGNORED)
        several = any(len(row) > 1 for row in ended)
        documents = (numbered(sources), numbered(shifted)) if several else None
        inputs = self.bound.inputs(source_BS, source_keep_BS, target_BT, target_keep_BT, documents)
        count = int(target_keep_BT.sum())
        return Batch(inputs, {"tokens": wanted_BT}, count, source_BS.numel() + target_BT.numel())

    def loss(self, model: Model, batch: Batch) -> Tensor:
        return summed(self._given(model, batch), batch.targets["tokens"], self.smoothing, self.z)

    def _given(self, model: Model, batch: Batch) -> Tensor | Unscored:
        return head.given(model, batch.inputs, self.bound.output)

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        total = torch.zeros(5, dtype=torch.float64)  # loss, targets, right ones, texts written, right ones
        written = 0
        for batch in batches:
            wanted_BT = batch.targets["tokens"]
            given = self._given(model, batch)
            sums = (summed(given, wanted_BT).item(), batch.count, hits(given, wanted_BT))
            total[:3] += torch.tensor(sums, dtype=torch.float64)
            if written < self.generate:
                length = waited(processes, min(self.longest[1], wanted_BT.shape[1]))
                made_BT = self.write(bare(model), batch, length, processes)
                right_B = equal(made_BT, wanted_BT, self.marks.end)
                total[3:] += torch.tensor([len(right_B), float(right_B.sum())], dtype=torch.float64)
                written += round(processes.total(torch.tensor([float(len(right_B))])).item())
        loss, count, right, texts, exact = processes.total(total).tolist()
        mean = loss / count
        figures = {"perplexity": perplexity(mean), "accuracy": right / count}
        if self.bytes_a_target:
            figures["bits a byte"] = mean / math.log(2) / self.bytes_a_target
        if texts:
            figures["exact match"] = exact / texts
        return Measured(mean, int(count), figures)

    def write(self, model: Any, batch: Batch, length: int, processes: Processes) -> Tensor:
        """Return up to `length` tokens [B, L] that the model writes for each source: the likeliest, one by one."""
        source = {name: batch.inputs[name] for name in self.bound.source.order}

        def waiting(count: int) -> int:
            return round(processes.total(torch.tensor([float(count)])).item())

        answer = Answer(Held(model, writing(self.bound, self.marks), source, apart=True), length)
        return greedy(answer, answer.begin(), end=self.marks.end, length=length, waiting=waiting)


def writing(bound: binding.Pair, marks: Ends) -> Writing:
    """Return what a model of two texts is to do with a source; padding is never written, unless it ends a text."""

    def feed(tokens_BT: Tensor, first: int) -> dict[str, Tensor]:
        return bound.target.inputs(tokens_BT, first=first)

    pad = bound.target.words.pad
    never = () if pad in (None, marks.end) else (pad,)
    return Writing(feed, bound.order, bound.output, marks.start, never)


def bare(model: Any) -> Any:
    """Return the module itself, out of what leaves its head out, compiles it, or spreads it over processes."""
    if isinstance(model, Headed):
        return bare(model.call)
    if isinstance(model, DistributedDataParallel):
        return bare(model.module)
    inner = vars(model).get("_modules", {}).get("_orig_mod")
    return model if inner is None else bare(inner)


def equal(made_BT: Tensor, wanted_BT: Tensor, end: int) -> Tensor:
    """Return for each row whether what was made is what was wanted, up to and with the mark `end`."""
    length = max(made_BT.shape[1], wanted_BT.shape[1])
    wanted_BT = torch.where(wanted_BT == IGNORED, end, wanted_BT)
    first, second = (
        torch.nn.functional.pad(each, (0, length - each.shape[1]), value=end) for each in (made_BT, wanted_BT)
    )
    return (first == second).all(1)


def waited(processes: Processes, length: int) -> int:
    """Return a length that is the same for all processes and no shorter than any."""
    if processes.count == 1:
        return length
    return int(processes.gathered(torch.tensor([length])).max())


def filled(rows: Sequence[Tokens], pad: int) -> tuple[Tensor, Tensor]:
    """Return rows of different lengths as tokens [B, T], filled up with `pad`, and which of them are real."""
    longest = max((len(row) for row in rows), default=1)
    tokens_BT = np.full((len(rows), longest), pad, np.int64)
    lengths_B = np.array([len(row) for row in rows], np.int64)
    keep_BT = np.arange(longest) < lengths_B[:, None]
    if rows:
        tokens_BT[keep_BT] = np.concatenate(rows)
    return torch.from_numpy(tokens_BT), torch.from_numpy(keep_BT)


def numbered(rows: Sequence[Sequence[Tokens]]) -> Tensor:
    """Return the number, from 1, of the text that each position belongs to; 0 for what fills a row up: [B, T]."""
    return filled([np.repeat(np.arange(1, len(row) + 1), [len(text) for text in row]) for row in rows], 0)[0]


def longest(context: int, pair: binding.Pair, limits: dict[str, int]) -> tuple[tuple[int, int], Problems]:
    """Return the most tokens of a source and of a target that the settings and each one's positions allow."""
    most = [limits.get(str(part.words.shape[1])) for part in (pair.source, pair.target)]
    held = [limit for limit in most if limit is not None]
    allowed = (min(context, most[0] or context), min(context, most[1] or context))
    if len(held) == 2 and context > max(held):
        message = f"texts of {context:,} tokens do not fit the model's {max(held):,} positions"
        help_ = f"set `train.context` to {max(held)} or less, or make the position tables longer"
        return allowed, [("train.context", Diagnostic("R705", message, label="too long", help=help_))]
    return allowed, []


def unpadded(pair: binding.Pair) -> Problems:
    """Say where a model could not tell what fills up a source."""
    source = pair.source.words
    if source.pad is not None or pair.source.masks:
        return []
    message = f"texts of different lengths stand in a batch, and nothing tells what only fills up `{source.name}`"
    help_ = f"write `pad: 0` at `{source.name}`, or give the model a mask: an input that `keeps: {source.name}`"
    return [(f"inputs.{source.name}", Diagnostic("R791", message, label="has no `pad`", help=help_))]
