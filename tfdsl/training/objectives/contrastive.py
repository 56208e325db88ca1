"""contrastive: what belongs together is told from the rest of its batch: texts and texts, or texts and images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl import settings
from tfdsl.data.table import Array, Prepared, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Input, Signature
from tfdsl.settings.objective import Contrastive as Chosen
from tfdsl.training import binding, scores
from tfdsl.training.figures import wide
from tfdsl.training.pictures import Pictures
from tfdsl.training.processes import Processes
from tfdsl.training.reader import positions
from tfdsl.training.rows import Texts
from tfdsl.training.spread import cross
from tfdsl.training.task import Batch, Measured, Model, Place, Task

Problems = list[tuple[str, Diagnostic]]
KIND = "a text [B, T] into one vector [B, D], or texts [N, T] and images [M, C, H, W] into scores [N, M]"
HELP = "end the model in one vector a text: `- pool: mean` over its positions"
BLOCK = 1024  # queries whose scores with all candidates are held at once


@dataclass(slots=True, eq=False)
class Vectors(Task):
    """Texts `query` and `positive` (and perhaps `negative`) through one model; cosines tell which belong together.

    What counts as right besides an example's own pair is one of equal text. All examples of a pass, whichever process
    has them, stand against each other.
    """

    reader: Texts
    output: str
    width: int
    temperature: float
    smoothing: float
    rows: int = 2  # of a pass, over all processes
    processes: Processes = field(default_factory=Processes)

    @property
    def wanted(self) -> Wanted:
        fields = (Field("query"), Field("positive"), Field("negative", optional=True))
        return Wanted((fields,), self.reader.marks, spare=self.reader.marks)

    def against(self, data: Prepared) -> Problems:
        told = "negative" in data.train.columns
        return [*self.reader.against(data), *([] if told else alone(data.train, self.rows, ("query", "positive")))]

    def remarks(self, data: Prepared) -> Problems:
        return self.reader.cut(data, ("query",), ("positive",), ("negative",))

    def open(self, data: Prepared) -> None:
        self.reader.open(data)

    def join(self, processes: Processes) -> None:
        self.processes = processes

    def examples(self, table: Table, epoch: int) -> int:
        return len(table)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        names = [name for name in ("query", "positive", "negative") if name in table.columns]
        texts = [[table.columns[name][each.index] for each in places] for name in names]
        inputs = self.reader.read([(text, None) for column in texts for text in column])
        keys = torch.tensor([[_key(text) for text in column] for column in texts], dtype=torch.int64)
        return Batch(inputs, {"keys": keys.T.contiguous()}, len(places), positions(inputs))

    def loss(self, model: Model, batch: Batch) -> Tensor:
        return self._loss(self._vectors(model, batch), batch.targets["keys"])

    def _loss(self, own_BCD: Tensor, keys_BC: Tensor) -> Tensor:
        """Return half the cross-entropy of each query's positive, and half that of each positive's query.

        The value is that of this process's examples; the gradient with respect to their vectors is that of the whole
        pass, so that the sum over processes is what one process would have.
        """
        rows = _own(len(own_BCD), self.processes)
        all_ACD, all_keys = self.processes.gathered(own_BCD.detach()), self.processes.gathered(keys_BC)
        held_ACD = torch.cat([all_ACD[: rows.start], own_BCD, all_ACD[rows.stop :]])
        each_A = pairs(held_ACD, all_keys, self.temperature, self.smoothing)
        whole = each_A.sum()
        return whole if len(each_A) == len(own_BCD) else each_A[rows].sum().detach() + whole - whole.detach()

    def _vectors(self, model: Model, batch: Batch) -> Tensor:
        parts = batch.targets["keys"].shape[1]
        if not batch.count:  # a process may have no example of a small pass
            return torch.zeros(0, parts, self.width)
        found = wide(binding.result(model, batch.inputs, self.output))
        return F.normalize(found, dim=-1).unflatten(0, (parts, -1)).transpose(0, 1)

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        """Return the loss within batches, and how well queries find positives among all that is held out, negatives too."""
        vectors: list[Tensor] = []
        keys: list[Tensor] = []
        total = torch.zeros(1, dtype=torch.float64)
        for batch in batches:
            own_BCD = self._vectors(model, batch)
            total += self._loss(own_BCD, batch.targets["keys"]).double().cpu()
            vectors.append(own_BCD)
            keys.append(batch.targets["keys"])
        own, own_keys = torch.cat(vectors), torch.cat(keys)
        keys_A = processes.gathered(own_keys)
        candidates, others = choices(processes.gathered(own[:, 1:].contiguous()), keys_A)
        sums = torch.zeros(len(scores.RECALLS) + 1, dtype=torch.float64)
        for start in range(0, len(own), BLOCK):
            part = slice(start, start + BLOCK)
            found_QA = own[part, 0] @ candidates.T
            right_QA = F.pad(same(own_keys[part], keys_A), (0, others))
            sums += scores.retrieval(scores.ranks(found_QA, right_QA)).cpu()
        return _measured(total, sums, len(keys_A), processes)


def alone(table: Table, rows: int, names: Sequence[str]) -> Problems:
    """Say where no example has another one that it could be told from."""
    if rows == 1:
        message = "a pass of 1 example has no other that it could be told from, so nothing is learned"
        help_ = "set `train.batch` to 2 or more: the more, the harder it is, and the better what is learned"
        return [("train.batch", Diagnostic("R758", message, label="nothing to tell apart", help=help_))]
    for name in names:
        column = table.columns[name]
        if all(np.array_equal(column[0], column[place]) for place in range(len(table))):
            message = f"the `{name}` of all {len(table):,} examples is the same, so each belongs to every other"
            return [("train.data.source", Diagnostic("R758", message, label="nothing to tell apart"))]
    return []


def choices(vectors_ACD: Tensor, keys_AC: Tensor) -> tuple[Tensor, int]:
    """Return what queries choose from, all positives and behind them the negatives; and how many of these there are.

    A negative is there once, and not at all where its text is a positive. `vectors_ACD` has no queries, `keys_AC` has.
    """
    if vectors_ACD.shape[1] < 2:
        return vectors_ACD[:, 0], 0
    texts, first = np.unique(keys_AC[:, 2].cpu().numpy(), return_index=True)
    new = torch.from_numpy(np.sort(first[~np.isin(texts, keys_AC[:, 1].cpu().numpy())])).to(vectors_ACD.device)
    return torch.cat([vectors_ACD[:, 0], vectors_ACD[new, 1]]), len(new)


def pairs(vectors_ACD: Tensor, keys_AC: Tensor, temperature: float, smoothing: float = 0.0) -> Tensor:
    """Return the loss [A] of each example: its query, its positive and perhaps its negative are unit vectors.

    Negatives stand among the candidates of every query, but for those that are the query's positive by their text.
    """
    right_AA = same(keys_AC, keys_AC)
    scores_AA = vectors_ACD[:, 0] @ vectors_ACD[:, 1].T / temperature
    back_A = cross(scores_AA.T, right_AA.T, smoothing)
    if vectors_ACD.shape[1] > 2:
        worse_AA = vectors_ACD[:, 0] @ vectors_ACD[:, 2].T / temperature
        worse_AA = worse_AA.masked_fill(keys_AC[:, 1:2] == keys_AC[None, :, 2], -torch.inf)
        scores_AA = torch.cat([scores_AA, worse_AA], 1)
        right_AA = torch.cat([right_AA, torch.zeros_like(right_AA)], 1)
    return 0.5 * (cross(scores_AA, right_AA, smoothing) + back_A)


def same(queries_QC: Tensor, keys_AC: Tensor) -> Tensor:
    """Return which candidates are right for which queries: those of an equal text on either side."""
    return (queries_QC[:, :1] == keys_AC[None, :, 0]) | (queries_QC[:, 1:2] == keys_AC[None, :, 1])


def _own(count: int, processes: Processes) -> slice:
    """Return where the `count` rows of this process stand among those of all."""
    counts = processes.gathered(torch.tensor([count], device=processes.device))
    before = int(counts[: processes.rank].sum())
    return slice(before, before + count)


def _measured(loss: Tensor, sums: Tensor, count: int, processes: Processes) -> Measured:
    """Return what sums over this process's queries come to, over the `count` of all."""
    all_ = processes.total(torch.cat([loss, sums]))
    return Measured(all_[0].item() / count, count, scores.found(all_[1:], count))


@dataclass(slots=True, eq=False)
class Scores(Task):
    """A `caption` and an `image` that belong together, told from the rest by a model that scores all with all.

    As the scores are the model's own, each process lets it read the whole pass and answers for its own examples.
    """

    texts: Texts
    images: Pictures
    order: tuple[str, ...]
    output: str
    smoothing: float
    rows: int = 2  # of a pass, over all processes
    processes: Processes = field(default_factory=Processes)

    @property
    def wanted(self) -> Wanted:
        return Wanted(((Field("caption"), Field("image", "image")),), self.texts.marks)

    def against(self, data: Prepared) -> Problems:
        problems = [*self.texts.against(data), *self.images.against(data)]
        return [*problems, *alone(data.train, self.rows, ("caption", "image"))]

    def remarks(self, data: Prepared) -> Problems:
        return self.texts.cut(data, ("caption",))

    def open(self, data: Prepared) -> None:
        self.texts.open(data)
        self.images.open(data)

    def about(self) -> Mapping[str, Any]:
        return self.images.about()

    def join(self, processes: Processes) -> None:
        self.processes = processes

    def examples(self, table: Table, epoch: int) -> int:
        return len(table)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        captions = [(table.columns["caption"][each.index], None) for each in places]
        found = {**self.texts.read(captions), **self.images.inputs(table, places)}
        inputs = {name: found[name] for name in self.order}
        columns = table.columns["caption"], table.columns["image"]
        keys = torch.tensor([[_key(column[each.index]) for column in columns] for each in places], dtype=torch.int64)
        return Batch(inputs, {"keys": keys.view(-1, 2)}, len(places), positions(inputs))

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """Return half the cross-entropy of each text's image, and half that of each image's text."""
        own = _own(batch.count, self.processes)
        whole = {name: self.processes.gathered(each) for name, each in batch.inputs.items()}
        keys = self.processes.gathered(batch.targets["keys"])
        right_NM, scores_NM = same(keys, keys), wide(binding.result(model, whole, self.output))
        each_N = cross(scores_NM, right_NM, self.smoothing) + cross(scores_NM.T, right_NM.T, self.smoothing)
        return 0.5 * each_N[own].sum()

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        """Return the loss within batches, and how well texts find their images among all that are held out."""
        held = list(batches)
        total = torch.zeros(1, dtype=torch.float64)
        for batch in held:
            total += self.loss(model, batch).double().cpu()
        images = processes.gathered(torch.cat([each.inputs[self.images.name] for each in held]))
        keys = processes.gathered(torch.cat([each.targets["keys"] for each in held]))
        sums = torch.zeros(len(scores.RECALLS) + 1, dtype=torch.float64)
        for batch in (each for each in held if each.count):
            found_QA = torch.cat([self._scored(model, batch, part) for part in images.split(batch.count)], 1)
            sums += scores.retrieval(scores.ranks(found_QA, same(batch.targets["keys"], keys))).cpu()
        return _measured(total, sums, len(keys), processes)

    def _scored(self, model: Model, batch: Batch, images: Tensor) -> Tensor:
        return wide(binding.result(model, {**batch.inputs, self.images.name: images}, self.output))


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, Problems]:
    """Bind contrastive training to a model of one text, or to one that scores texts and images, or say why not."""
    chosen = train.objective
    assert isinstance(chosen, Chosen), "found by the name of its type"
    images = [each for each in signature.inputs.values() if each.kind == "numbers" and len(each.shape) == 4]
    if len(images) == len(signature.texts()) == 1:
        return _scored(train, signature, images[0])
    output, problems = binding.head(signature, "contrastive", KIND, 2, HELP)
    if output is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    bound, problems = binding.rows(train, signature, KIND, output)
    width = signature.outputs[output][-1]
    if bound is None or not isinstance(width, int):
        return None, problems
    reader = Texts(bound, train.context)
    return Vectors(reader, output, width, chosen.temperature, train.label_smoothing, train.batch), []


def _scored(train: settings.Train, signature: Signature, image: Input) -> tuple[Task | None, Problems]:
    """Bind a model of texts and images that gives the scores of all with all."""
    words = signature.texts()[0]
    fits = [name for name, each in signature.outputs.items() if each == (words.shape[0], image.shape[0])]
    if len(fits) != 1 or words.shape[0] == image.shape[0]:
        message = f"`contrastive` wants a model that turns {KIND}"
        help_ = (
            f"let texts and images have axes of their own: `[N, T]` and `[M, {', '.join(map(str, image.shape[1:]))}]`"
        )
        return None, [("outputs", Diagnostic("R801", message, label="no such scores", help=help_))]
    chosen = train.objective
    if isinstance(chosen, Chosen) and chosen.temperature != Chosen().temperature:
        message = "`temperature` is for cosines, and the model gives scores itself"
        return None, [("train.objective.temperature", Diagnostic("R807", message, label="leave it out"))]
    rest = {name: each for name, each in signature.inputs.items() if name != image.name}
    assert train.context is not None, "the context is settled before"
    bound, problems = binding.rows(train, replace(signature, inputs=rest), KIND, fits[0], filled=True)
    if bound is None:
        return None, problems
    texts = Texts(bound, train.context, ("start", "end"), exact=True)
    pictures = Pictures(image.name, image.shape, train.seed)
    return Scores(texts, pictures, tuple(signature.inputs), fits[0], train.label_smoothing, train.batch), []


def _key(values: Array) -> int:
    """Return a number that tells arrays apart."""
    digest = hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
