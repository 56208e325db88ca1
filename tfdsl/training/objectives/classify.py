"""classify: which class a text, a pair of texts or an image is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tfdsl import settings
from tfdsl.data.table import Prepared, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic, Note
from tfdsl.roles import Signature
from tfdsl.settings.objective import Classify as Chosen
from tfdsl.training import binding, scores
from tfdsl.training.crossentropy import summed
from tfdsl.training.figures import wide
from tfdsl.training.pictures import Pictures
from tfdsl.training.processes import Processes
from tfdsl.training.reader import Reader, positions
from tfdsl.training.rows import Texts
from tfdsl.training.task import Batch, Measured, Model, Place, Task

KIND = "a text [B, T] or an image [B, C, H, W] into scores of classes [B, K]"
HELP = "give the model a head: `- linear: {id: scores, width: 3, bias: true}` behind one vector [B, D], for 3 classes"
SHOWN, MOST = 5, 12  # classes that are told by name: of some, and of all
Problems = list[tuple[str, Diagnostic]]


@dataclass(slots=True, eq=False)
class Classify(Task):
    """Examples with a `label`, whose score among the `classes` of the `output` is to be the greatest."""

    reader: Reader
    output: str
    classes: int
    smoothing: float
    usual: int = 0  # the class that most of the training examples are of

    @property
    def wanted(self) -> Wanted:
        return Wanted(((*self.reader.fields, Field("label", "label")),), self.reader.marks, spare=self.reader.marks)

    def against(self, data: Prepared) -> Problems:
        problems = self.reader.against(data)
        if len(data.labels) > self.classes:
            message = f"the data has {len(data.labels):,} classes, the model tells {self.classes:,} apart"
            note = (Note(f"the classes are {shown(data.labels, MOST)}"),)
            same = alike(data.labels)
            help_ = f"make the last dimension of `{self.output}` {len(data.labels)}"
            help_ = f"did you mean {same} to be one class? Else {help_}" if same else help_
            met = np.union1d(_labels(data.train), _labels(data.held_out))
            if data.labels == tuple(map(str, range(len(data.labels)))) and len(met) < len(data.labels):
                told = shown([data.labels[each] for each in met], MOST)
                note = (Note(f"labels that are whole numbers are taken as the numbers of classes, from 0: {told}"),)
                help_ = f"{help_}; or write names in place of numbers, and those that there are count alone"
            said = Diagnostic("R804", message, label="too few", notes=note, help=help_)
            problems.append((f"outputs.{self.output}", said))
        met = np.unique(_labels(data.train))
        if len(met) == 1:
            what = "the one example" if len(data.train) == 1 else f"all {len(data.train):,} examples"
            message = (
                f"{what} to train on {'is' if len(data.train) == 1 else 'are'} of one class, `{data.labels[met[0]]}`"
            )
            help_ = "give examples of another class too"
            if len(np.setdiff1d(_labels(data.held_out), met)):
                help_ = "another class is among the held-out examples alone: hold less out, or give more examples of it"
            problems.append(
                ("train.data.source", Diagnostic("R758", message, label="nothing to tell apart", help=help_))
            )
        return problems

    def remarks(self, data: Prepared) -> Problems:
        alone = np.setdiff1d(_labels(data.held_out), _labels(data.train))
        found = self.reader.remarks(data)
        if len(data.labels) < self.classes:
            message = f"`{self.output}` tells {self.classes:,} classes apart, and the data have {len(data.labels):,}"
            note = (Note(f"the classes are {shown(data.labels, MOST)}"),)
            help_ = f"make its last dimension {len(data.labels)}, if there are no more, or name another output"
            said = Diagnostic("W630", message, label="more than there are", notes=note, help=help_)
            found = [*found, (f"outputs.{self.output}", said)]
        if same := alike(data.labels):
            said = Diagnostic("W631", f"two classes differ in spaces or capitals alone: {same}", label="one class?")
            found = [*found, ("train.data", replace(said, help="write them alike, if they are one"))]
        if not len(alone):
            return found
        names = shown([data.labels[each] for each in alone], SHOWN)
        what = f"{len(alone):,} classes are" if len(alone) > 1 else "1 class is"
        help_ = "give more examples of them, or hold others out: `train.data.held_out`"
        message = f"{what} among the held-out examples alone, and cannot be learnt: {names}"
        return [*found, ("train.data", Diagnostic("W622", message, label="none of them to train on", help=help_))]

    def open(self, data: Prepared) -> None:
        self.reader.open(data)
        self.usual = int(np.bincount(_labels(data.train)).argmax())

    def about(self) -> Mapping[str, Any]:
        return self.reader.about()

    def examples(self, table: Table, epoch: int) -> int:
        return len(table)

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        labels = torch.from_numpy(_labels(table)[[each.index for each in places]].astype(np.int64))
        inputs = self.reader.inputs(table, places)
        return Batch(inputs, {"label": labels}, len(places), positions(inputs))

    def loss(self, model: Model, batch: Batch) -> Tensor:
        scores_BK = binding.result(model, batch.inputs, self.output)
        return summed(scores_BK, batch.targets["label"], self.smoothing)

    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        """Return the mean cross-entropy (not smoothed), accuracy, macro F1, and what always saying `usual` comes to."""
        counts = torch.zeros(3, self.classes, dtype=torch.float64)
        total = torch.zeros(1, dtype=torch.float64)
        for batch in batches:
            scores_BK, truth = wide(binding.result(model, batch.inputs, self.output)), batch.targets["label"]
            total += summed(scores_BK, truth).double().cpu()
            said = scores_BK.argmax(1)
            for row, which in enumerate((truth[said == truth], said, truth)):
                counts[row] += torch.bincount(which, minlength=self.classes).cpu()
        sums = processes.total(torch.cat([counts.flatten(), total]))
        hits, said, true = sums[:-1].view(3, -1)
        count = int(true.sum())
        figures = {**scores.classes(hits, said, true), "majority": (true[self.usual] / count).item()}
        return Measured(sums[-1].item() / count, count, figures)


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, Problems]:
    """Bind classification to a model of one text or one image, or say why that cannot be."""
    chosen = train.objective
    assert isinstance(chosen, Chosen), "found by the name of its type"
    output, problems = binding.head(signature, "classify", KIND, 2, HELP)
    if output is None:
        return None, problems
    classes = signature.outputs[output][-1]
    assert isinstance(classes, int), "an output of classes has a number of them"
    inputs = list(signature.inputs.values())
    if len(inputs) == 1 and inputs[0].kind == "numbers" and len(inputs[0].shape) == 4:
        reader: Reader = Pictures(inputs[0].name, inputs[0].shape, train.seed, chosen)
        return Classify(reader, output, classes, train.label_smoothing), []
    assert train.context is not None, "the context is settled before"
    bound, problems = binding.rows(train, signature, KIND, output)
    spare = [name for name in ("shift", "flip", "noise") if getattr(chosen, name)]
    if spare and bound is not None:
        message = f"`{spare[0]}` is for images, and the model reads a text"
        problems.append((f"train.objective.{spare[0]}", Diagnostic("R807", message, label="leave it out")))
    if bound is None or problems:
        return None, problems
    return Classify(Texts(bound, train.context), output, classes, train.label_smoothing), []


def shown(names: Sequence[str], most: int) -> str:
    """Return the first few names of classes."""
    return ", ".join(f"`{name}`" for name in names[:most]) + (", …" if len(names) > most else "")


def alike(names: Sequence[str]) -> str:
    """Return which classes may be one by mistake: they differ in spaces or capitals alone; or nothing."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(" ".join(name.split()).lower(), name)
        if other != name:
            return f"`{other}` and `{name}`"
    return ""


def _labels(table: Table) -> Any:
    return table.columns["label"].values
