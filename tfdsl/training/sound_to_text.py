"""Train a model to write a text given numbers, such as a spectrogram: seq2seq whose source is no text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tfdsl import settings
from tfdsl.data.table import Fixed, Prepared, Ragged, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Input, Signature
from tfdsl.training import binding, text_to_text
from tfdsl.training.crossentropy import IGNORED
from tfdsl.training.task import Batch, Place
from tfdsl.training.text_to_text import Problems, TextToText, Tokens, filled


@dataclass(slots=True, eq=False, kw_only=True)
class SoundToText(TextToText):
    """Examples of a `sound`, numbers of the shape that the model's source has, and a `target` text."""

    @property
    def wanted(self) -> Wanted:
        return Wanted(((Field("sound", "numbers"), Field("target")),), marks=("start", "end"))

    def against(self, data: Prepared) -> Problems:
        found = TextToText.against(self, data)
        source, most = self.bound.source.words, self.longest[1]
        shape = _sounds(data.train).values.shape[1:]
        if any(isinstance(want, int) and want != got for want, got in zip(source.shape[1:], shape, strict=False)) or (
            len(shape) != len(source.shape) - 1
        ):
            told = " × ".join(map(str, shape)), " × ".join(map(str, source.shape[1:]))
            message = f"the examples of `sound` are {told[0]}, the model takes {told[1]}"
            help_ = "set the model's dims to theirs"
            found.append((f"inputs.{source.name}", Diagnostic("R805", message, label="not of that shape", help=help_)))
        longest = max(int(np.diff(_targets(table).offsets).max(initial=0)) + 1 for table in (data.train, data.held_out))
        if longest > most:
            message = f"`target` has up to {longest:,} tokens with its mark, the model is to read {most:,}"
            help_ = f"set `train.context` to {longest} where the model's positions reach that far"
            found.append(("train.context", Diagnostic("R793", message, label="too short", help=help_)))
        return found

    def open(self, data: Prepared) -> None:
        TextToText.open(self, data)
        targets = _targets(data.held_out)
        self.bytes_a_target = data.held_out.sizes["target"] / max(1, len(targets.values) + len(targets))

    def examples(self, table: Table, epoch: int) -> int:
        return len(table)

    def pairs(self, table: Table, places: Sequence[Place]) -> list[tuple[Tokens, Tokens]]:
        nothing: NDArray[np.int64] = np.empty(0, np.int64)
        return [(nothing, _targets(table)[each.index].astype(np.int64)) for each in places]

    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        sounds = _sounds(table)
        source = torch.from_numpy(sounds.values[[each.index for each in places]].astype(np.float32))
        ended = [np.append(target, self.marks.end) for _, target in self.pairs(table, places)]
        shifted = [np.concatenate(([self.marks.start], target[:-1])) for target in ended]
        target_BT, keep_BT = filled(shifted, self.bound.target.words.pad or 0)
        wanted_BT, _ = filled(ended, IGNORED)
        found = {self.bound.source.words.name: source} | self.bound.target.inputs(target_BT, keep_BT)
        inputs = {name: found[name] for name in self.bound.order}
        return Batch(inputs, {"tokens": wanted_BT}, int(keep_BT.sum()), source[:, 0].numel() + target_BT.numel())


def sound(signature: Signature) -> Input | None:
    """Return the input [B, ...] of numbers that a text is written for, where there is one beside one text."""
    numbers = [each for each in signature.inputs.values() if each.kind == "numbers"]
    return numbers[0] if len(numbers) == 1 and len(signature.texts()) == 1 else None


def pair(signature: Signature, source: Input) -> tuple[binding.Pair | None, Problems]:
    """Bind the numbers and the text that is written for them, or say why that cannot be."""
    rest = {name: each for name, each in signature.inputs.items() if name != source.name}
    target, problems = binding.text(replace(signature, inputs=rest), "seq2seq")
    if target is None:
        return None, problems
    return binding.Pair(tuple(signature.inputs), binding.Bound((source.name,), source, target.output), target), []


def bind(train: settings.Train, signature: Signature, source: Input) -> tuple[SoundToText | None, Problems]:
    """Bind training from numbers to text, or say why that cannot be."""
    bound, problems = pair(signature, source)
    if bound is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    longest, problems = text_to_text.longest(train.context, bound, dict(signature.limits))
    if problems:
        return None, problems
    generate = text_to_text.written(train)
    return SoundToText(bound, longest, train.seed, train.label_smoothing, train.z_loss, generate), []


def _sounds(table: Table) -> Fixed:
    column = table.columns["sound"]
    assert isinstance(column, Fixed), "numbers are of one shape"
    return column


def _targets(table: Table) -> Ragged:
    column = table.columns["target"]
    assert isinstance(column, Ragged), "texts are columns of tokens"
    return column
