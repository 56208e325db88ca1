"""seq2seq: a target text, given a source text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfdsl import settings
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.training import binding, sound_to_text, text_to_text
from tfdsl.training.task import HELD_OUT, Place, Task
from tfdsl.training.text_to_text import Problems, TextToText, Tokens

FIELDS = ("source", "target")


@dataclass(slots=True, eq=False, kw_only=True)
class Seq2seq(TextToText):
    """The examples of the data, a source and a target each."""

    @property
    def wanted(self) -> Wanted:
        return Wanted((tuple(Field(name) for name in FIELDS),), marks=("start", "end"))

    def against(self, data: Prepared) -> Problems:
        found = TextToText.against(self, data)
        for name, most in zip(FIELDS, self.longest, strict=True):
            lengths = np.concatenate([_lengths(table, name) for table in (data.train, data.held_out)])
            if lengths.max() > most:
                found.append(("train.context", _long(name, lengths, most)))
        return found

    def open(self, data: Prepared) -> None:
        TextToText.open(self, data)
        targets = int(_lengths(data.held_out, "target").sum())
        self.bytes_a_target = data.held_out.sizes["target"] / max(1, targets)

    def examples(self, table: Table, epoch: int) -> int:
        return len(table)

    def lengths(self, table: Table) -> NDArray[np.int64]:
        return _lengths(table, "source") + _lengths(table, "target")

    def pairs(self, table: Table, places: Sequence[Place]) -> list[tuple[Tokens, Tokens]]:
        source, target = _columns(table)
        mixed = _mixed(len(table)) if places and places[0].epoch == HELD_OUT else None
        rows = [each.index if mixed is None else int(mixed[each.index]) for each in places]
        return [(source[row].astype(np.int64), target[row].astype(np.int64)) for row in rows]


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, Problems]:
    """Bind training to a model of two texts, or of numbers and a text, or say why that cannot be."""
    heard = sound_to_text.sound(signature)
    if heard is not None:
        return sound_to_text.bind(train, signature, heard)
    pair, problems = binding.pair(signature, "seq2seq")
    if pair is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    longest, problems = text_to_text.longest(train.context, pair, dict(signature.limits))
    problems += text_to_text.unpadded(pair)
    made = Seq2seq(pair, longest, train.seed, train.label_smoothing, train.z_loss, text_to_text.written(train))
    return (None, problems) if problems else (made, [])


def _columns(table: Table) -> tuple[Ragged, Ragged]:
    source, target = (table.columns[name] for name in FIELDS)
    assert isinstance(source, Ragged) and isinstance(target, Ragged), "texts are columns of tokens"
    return source, target


def _lengths(table: Table, name: str) -> NDArray[np.int64]:
    """Return how many tokens each text has, with its mark."""
    column = table.columns[name]
    assert isinstance(column, Ragged), "texts are columns of tokens"
    return np.diff(column.offsets) + 1


def _mixed(size: int) -> NDArray[np.int64]:
    """Return the order in which held-out examples are measured: any part of it is a fair one of the whole."""
    return np.random.default_rng([size]).permutation(size)


def _long(name: str, lengths: NDArray[np.int64], most: int) -> Diagnostic:
    many, longest = int((lengths > most).sum()), int(lengths.max())
    message = f"`{name}` has up to {longest:,} tokens with its mark, the model is to read {most:,}"
    help_ = f"{many:,} of {len(lengths):,} examples are longer: leave them out, or set `train.context` to {longest}"
    return Diagnostic("R793", message, label="too short", help=help_ + " where the model's positions reach that far")
