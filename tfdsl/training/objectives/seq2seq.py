"""seq2seq: a target text, given a source text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tfdsl import settings
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.data.wanted import Field, Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.roles import Signature
from tfdsl.training import binding, sound_to_text, text_to_text
from tfdsl.training.pairing import Pairing
from tfdsl.training.task import HELD_OUT, Place, Task
from tfdsl.training.text_to_text import Problems, TextToText, Tokens

FIELDS = ("source", "target")


@dataclass(slots=True, eq=False, kw_only=True)
class Seq2seq(TextToText):
    """The examples of the data, a source and a target each; several share a row where there is a `pairing`."""

    pairing: Pairing | None = None
    sizes: dict[int, NDArray[np.int64]] = field(default_factory=dict[int, NDArray[np.int64]])

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
        return len(table) if self.pairing is None or epoch == HELD_OUT else len(self._laid(table, epoch)[1]) - 1

    def lengths(self, table: Table) -> NDArray[np.int64] | None:
        return None if self.pairing is not None else _lengths(table, "source") + _lengths(table, "target")

    def rows(self, table: Table, places: Sequence[Place]) -> list[list[tuple[Tokens, Tokens]]]:
        if self.pairing is None or places[:1] == [] or places[0].epoch == HELD_OUT:
            return TextToText.rows(self, table, places)
        found: list[list[tuple[Tokens, Tokens]]] = []
        for place in places:
            order, bounds = self._laid(table, place.epoch)
            members = order[bounds[place.index] : bounds[place.index + 1]].tolist()
            found.append(self.pairs(table, [Place(place.epoch, member) for member in members]))
        return found

    def _laid(self, table: Table, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the examples of an epoch in the order of their rows, and where each row begins."""
        assert self.pairing is not None, "rows are laid where several pairs share one"
        if id(table) not in self.sizes:
            self.sizes[id(table)] = np.stack([_lengths(table, name) for name in FIELDS], 1)
        return self.pairing.rows(self.sizes[id(table)], epoch)

    def pairs(self, table: Table, places: Sequence[Place]) -> list[tuple[Tokens, Tokens]]:
        source, target = _columns(table)
        mixed = _mixed(len(table)) if places and places[0].epoch == HELD_OUT else None
        rows = [each.index if mixed is None else int(mixed[each.index]) for each in places]
        return [(source[row].astype(np.int64), target[row].astype(np.int64)) for row in rows]


def bind(train: settings.Train, signature: Signature) -> tuple[Task | None, Problems]:
    """Bind training to a model of two texts, or of numbers and a text, or say why that cannot be."""
    heard = sound_to_text.sound(signature)
    if heard is not None and train.data is not None and train.data.packing != "cut":
        message = "`packing` lays texts into rows, and `seq2seq` has numbers here"
        return None, [("train.data.packing", Diagnostic("R786", message, label="not honoured"))]
    if heard is not None:
        return sound_to_text.bind(train, signature, heard)
    pair, problems = binding.pair(signature, "seq2seq")
    if pair is None:
        return None, problems
    assert train.context is not None, "the context is settled before"
    longest, problems = text_to_text.longest(train.context, pair, dict(signature.limits))
    problems += text_to_text.unpadded(pair)
    whole = train.data is not None and train.data.packing == "whole"
    if whole and not pair.parted:
        message = "`packing: whole` lays several pairs into a row, and nothing tells the model where each begins"
        help_ = "give it an input that `parts` the source and one that `parts` the target"
        problems.append(("train.data.packing", Diagnostic("R786", message, label="not honoured", help=help_)))
    made = Seq2seq(pair, longest, train.seed, train.label_smoothing, train.z_loss, text_to_text.written(train))
    made.pairing = Pairing(longest, train.seed) if whole else None
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
