"""A table that is being written: a column a field, examples added as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfdsl import settings
from tfdsl.data import chat, values
from tfdsl.data.columns import Layout, Writer
from tfdsl.data.encode import Encoder
from tfdsl.data.fit import Chosen
from tfdsl.data.pictures import shaped
from tfdsl.data.source import Record
from tfdsl.data.table import Array
from tfdsl.data.wanted import Field
from tfdsl.diagnostics import Diagnostic, suggest
from tfdsl.tokens import Tokens

DTYPES: Mapping[str, Any] = {
    "label": np.int64, "image": np.uint8, "numbers": np.float32, "stretch": np.int64, "turns": np.int64
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What becomes of an example: its fields, the encoder of texts, the classes, and the tokens behind a text.

    `labels` are the names of all classes, by field; `classes` those of fields whose source numbers them itself; `apart`
    is the setting that names what is held out.
    """

    chosen: Chosen
    encoder: Encoder | None
    labels: Mapping[str, tuple[str, ...]]
    tail: tuple[int, ...]
    share: float
    apart: str = "train.data.source"
    image: settings.Image | None = None
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def dtype(self, kind: str) -> Any:
        """Return what a column's values are kept as."""
        return self.encoder.dtype if kind == "text" and self.encoder is not None else DTYPES[kind]


class Tables:
    """Writes one table. Texts are made into tokens many at a time; `shapes` are those that examples have, by field."""

    def __init__(self, work: Work, folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
        self._work, self._shapes = work, shapes
        self._fields = work.chosen.fields
        self._writers = {
            field.name: Writer(folder, field.name, field.kind, work.dtype(field.kind)) for field in self._fields
        }
        self._numbers = {name: {each: at for at, each in enumerate(names)} for name, names in work.labels.items()}
        self.count = 0

    def add(self, records: Sequence[Record]) -> list[Diagnostic]:
        """Write examples; return what is wrong with those that are left out, of which nothing is written."""
        read: list[tuple[Record, Mapping[str, Any]]] = []
        problems: list[Diagnostic] = []
        for record in records:
            found = self._values(record)
            if isinstance(found, Diagnostic):
                problems.append(found)
            else:
                read.append((record, found))
        if not problems:  # what is wrong ends the work, after all of it was looked at
            for field in self._fields:
                self._column(field, read)
            self.count += sum(record.ends for record, _ in read)
        return problems

    def close(self) -> dict[str, Layout]:
        """Finish the files and return what lies in them."""
        return {name: writer.close() for name, writer in self._writers.items()}

    def _column(self, field: Field, read: Sequence[tuple[Record, Mapping[str, Any]]]) -> None:
        writer = self._writers[field.name]
        if field.kind == "turns":
            return  # written with the text that they are of
        if field.kind != "text":
            for _, found in read:
                writer.add(found[field.name])
            return
        assert self._work.encoder is not None, "text is read with a tokenizer"
        texts = [found[field.name] for _, found in read]
        tail = np.array(self._work.tail, self._work.encoder.dtype)
        turns = next((each.name for each in self._fields if each.kind == "turns" and each.of == field.name), "")
        made = self._turned(field, turns, read) if turns else self._work.encoder(texts, field.begins)
        for (record, _), text, tokens in zip(read, texts, made, strict=True):
            marked = record.ends and len(tail) and not (len(tokens) and tokens[-1] == tail[0])
            writer.add(np.concatenate([tokens, tail]) if marked else tokens, record.ends)
            writer.size += len(text.encode())

    def _turned(self, field: Field, turns: str, read: Sequence[tuple[Record, Mapping[str, Any]]]) -> list[Tokens]:
        """Return the tokens of texts whose stretches are made into tokens apart; write which tokens these are."""
        assert self._work.encoder is not None, "text is read with a tokenizer"
        parts = [chat.parts(found[field.name], found[turns]) for _, found in read]
        firsts = iter(self._work.encoder([first for first, *_ in parts], field.begins))
        others = iter(self._work.encoder([each for _, *rest in parts for each in rest]))
        made: list[Tokens] = []
        for some in parts:
            tokens = [next(firsts), *(next(others) for _ in some[1:])]
            self._writers[turns].add(np.cumsum([len(each) for each in tokens[:-1]], dtype=np.int64))
            made.append(np.concatenate(tokens))
        return made

    def _values(self, record: Record) -> Mapping[str, Any] | Diagnostic:
        """Return the values of all fields, ready to be written, or what is wrong with the first that is not."""
        found: dict[str, Any] = {}
        column = ""
        try:
            for column in self._work.chosen.left:
                if record.values.get(column) is not None:
                    raise values.Unfit("is there, and the first example has none")
            for field in sorted(self._fields, key=lambda each: each.kind == "stretch"):
                column = self._work.chosen.columns[field.name]
                found[field.name] = self._value(field, values.held(record, column), found)
        except values.Unfit as reason:
            return reason.diagnostic(record, column)
        for field in self._fields:
            shape = self._shape(field, found)
            if shape is not None:
                return _of_another(record, self._work.chosen.columns[field.name], shape, field)
        return found

    def _value(self, field: Field, value: Any, found: Mapping[str, Any]) -> Any:
        match field.kind:
            case "text":
                return values.text(value)
            case "label":
                names = self._work.labels[field.name]
                name = values.label(value, self._work.classes.get(field.name, ()))
                if name not in self._numbers[field.name]:
                    raise values.Unfit(f"is `{name}`, which is none of the {len(names)} classes{_near(name, names)}")
                return np.array(self._numbers[field.name][name])
            case "image":
                return shaped(values.image(value), self._work.image)
            case "numbers":
                return values.numbers(value)
            case "turns":
                return values.turns(value)
            case "stretch":
                return self._stretch(value, found[field.of])

    def _stretch(self, value: Any, passage: str) -> Array:
        assert self._work.encoder is not None, "text is read with a tokenizer"
        first, last = values.stretch(value, passage)
        tokens = self._work.encoder.stretch(passage, first, last)
        if tokens is None:
            raise values.Unfit(f"(`{passage[first : last + 1][:40]}`) has no token of its own")
        return np.array(tokens)

    def _shape(self, field: Field, found: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """Return the shape of a value and that of those before it, where they differ."""
        if field.kind not in ("image", "numbers"):
            return None
        shape = found[field.name].shape
        first = self._shapes.setdefault(field.name, shape)
        return None if shape == first else (shape, first)


def _of_another(
    record: Record, column: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], field: Field
) -> Diagnostic:
    message = f"`{column}` of {record.place} has the shape {list(shapes[0])}, those before it {list(shapes[1])}"
    return Diagnostic("R745", message, label="of another shape", help=unlike(*shapes) if field.kind == "image" else "")


def _near(name: str, names: Sequence[str]) -> str:
    """Return which of the classes may be meant, or the first few of them."""
    near = suggest(name.strip(), names)
    shown = ", ".join(f"`{each}`" for each in names[:5]) + (", …" if len(names) > 5 else "")
    return f": did you mean `{near}`?" if near else f" to train on: {shown}"


def unlike(one: tuple[int, ...], other: tuple[int, ...]) -> str:
    """Return what to do about images [channels, height, width] of two shapes."""
    wanted = ["size: …"] * (one[1:] != other[1:]) + ["channels: 3"] * (one[0] != other[0])
    return f"bring them to one shape with `train.data.image: {{{', '.join(wanted)}}}`"
