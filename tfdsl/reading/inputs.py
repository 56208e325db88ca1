"""Examples as inputs of a model, in batches, by the readers that read the training data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor

from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.diagnostics import Diagnostic
from tfdsl.reading.batches import batches
from tfdsl.reading.examples import Example, pile
from tfdsl.reading.trained import Trained
from tfdsl.sampling import aside
from tfdsl.training.pictures import Pictures
from tfdsl.training.reader import Reader
from tfdsl.training.rows import Texts
from tfdsl.training.task import HELD_OUT, Place

IMAGES = 64  # at once
Batches = Iterator[tuple[list[int], Mapping[str, Tensor]]]


def opened(trained: Trained, reader: Reader) -> list[Diagnostic]:
    """Let a reader know what its training data told it, or say that the run does not know it."""
    if isinstance(reader, Texts):
        nothing = Table({"text": Ragged(np.empty(0, np.int64), np.zeros(1, np.int64))})
        if trained.tokenizer is not None:
            reader.open(Prepared(nothing, nothing, trained.tokenizer))
    elif isinstance(reader, Pictures):
        known = trained.about.get("image")
        if known is None:
            message = "the run does not say how its images are to be normalised"
            help_ = "a run that was trained here does; of an imported one, say `--mean` and `--deviation`"
            return [Diagnostic("R837", message, label="no mean, no deviation", help=help_)]
        reader.mean, reader.deviation = tuple(known["mean"]), tuple(known["deviation"])
    return []


def inputs(trained: Trained, reader: Reader, asked: Sequence[Example]) -> tuple[Batches, list[Diagnostic]]:
    """Return batches of examples, which of them each holds, and what is wrong with those left aside, or was cut."""
    if isinstance(reader, Pictures):
        return _images(trained, reader, asked)
    assert isinstance(reader, Texts), "texts are what else there is"
    return _texts(trained, reader, asked)


def _texts(trained: Trained, reader: Texts, asked: Sequence[Example]) -> tuple[Batches, list[Diagnostic]]:
    if problems := trained.wordless():
        return iter(()), problems
    names = aside.names(len(asked))
    faults = trained.unread([each.text for each in asked], names)
    faults |= trained.unread([each.second or "" for each in asked], [f"the second of {name}" for name in names])
    for at, each in enumerate(asked):
        if not each.text and not each.second:
            faults[at] = Diagnostic("R836", f"{names[at]} is empty", label="nothing", help="give one that is not")
    sound = [at for at in range(len(asked)) if at not in faults]
    rows = trained.tokens([asked[at].text for at in sound])
    seconds = [each for at in sound if (each := asked[at].second) is not None]
    behind = iter(trained.tokens(seconds))
    pairs = [(row, None if asked[at].second is None else next(behind)) for row, at in zip(rows, sound, strict=True)]
    room = reader.rows.most - (
        reader.rows.between if seconds else reader.rows.between - (reader.rows.separator is not None)
    )
    sizes = [len(one) + (0 if two is None else len(two)) for one, two in pairs]
    lengths = [min(size, room) + reader.rows.between for size in sizes]

    def read() -> Batches:
        alike = reader.bound.words.pad is None and not reader.bound.masks and not reader.rows.exact
        for batch in batches(lengths, alike):
            yield [sound[at] for at in batch], reader.read([pairs[at] for at in batch])

    return read(), [*_cut(sizes, room, reader.rows.most), *aside.told(faults)]


def _cut(sizes: Sequence[int], room: int, most: int) -> list[Diagnostic]:
    """Say how many texts were cut."""
    many = sum(size > room for size in sizes)
    if not many:
        return []
    what = "the text has" if len(sizes) == 1 else f"{many:,} of {len(sizes):,} texts have up to"
    message = f"{what} {max(sizes):,} tokens, of which the model reads {room:,}: the rest is left out, as in training"
    return [Diagnostic("W608", message, label="cut", help=f"`train.context` is {most:,}")]


def _images(trained: Trained, reader: Pictures, asked: Sequence[Example]) -> tuple[Batches, list[Diagnostic]]:
    setting = trained.train.data.image if trained.train.data is not None else None
    table, sound, problems = pile(asked, setting, reader.shape)
    if table is None:
        return iter(()), problems

    def read() -> Batches:
        for first in range(0, len(sound), IMAGES):
            batch = list(range(first, min(first + IMAGES, len(sound))))
            yield [sound[at] for at in batch], reader.inputs(table, [Place(HELD_OUT, at) for at in batch])

    return read(), problems
