"""Write the examples of a source as tables on disk, as they come."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfdsl import disk
from tfdsl.data.columns import Layout
from tfdsl.data.fit import Problems
from tfdsl.data.learn import gathered
from tfdsl.data.source import Record, Source
from tfdsl.data.tables import Tables, Work
from tfdsl.diagnostics import Diagnostic

PARTS = ("train", "held_out")
MANY, LONG = 256, 1 << 20  # examples, and characters, that are made into tokens at once
ENOUGH = 1000  # problems after which no more are looked for


def write(
    work: Work, train: Source, held_out: Source | None, folder: Path
) -> tuple[Mapping[str, Mapping[str, Layout]], Problems]:
    """Write the tables `train` and `held_out` below `folder`; return how they lie, and what is wrong."""
    with opened(work, folder) as tables:
        if held_out is None:
            problems = gathered(fill(tables, train, (0, train.count), train.apart(work.share)))
        else:
            problems = gathered(fill({"train": tables["train"]}, train, (0, train.count), None))
            other = fill({"train": tables["held_out"]}, held_out, (0, held_out.count), None)
            problems += gathered(other, work.apart)
        layouts = {part: tables[part].close() for part in PARTS}
    counts = {part: tables[part].count for part in PARTS}
    return layouts, problems or enough(counts)


@contextmanager
def opened(work: Work, folder: Path) -> Generator[Mapping[str, Tables]]:
    """Begin both tables in a folder, and close their files at the end."""
    with ExitStack() as files:
        for part in PARTS:
            disk.make(folder / part)
        shapes: dict[str, tuple[int, ...]] = {}  # both parts have those of the first example
        tables = {part: Tables(work, folder / part, shapes) for part in PARTS}
        for each in tables.values():
            files.callback(each.close)
        yield tables


def fill(
    tables: Mapping[str, Tables], source: Source, span: tuple[int, int], apart: NDArray[np.bool_] | None
) -> list[Diagnostic]:
    """Write records of a source, those that are set `apart` into another table; return what is wrong with any."""
    problems: list[Diagnostic] = []
    for batch in _batches(source.read(*span), problems):
        kept = [each for each in batch if apart is None or not apart[each.unit]]
        problems += tables["train"].add(kept)
        if len(kept) < len(batch) and apart is not None:
            problems += tables["held_out"].add([each for each in batch if apart[each.unit]])
        if len(problems) >= ENOUGH:
            break
    return problems


def enough(counts: Mapping[str, int]) -> Problems:
    """Say where nothing is left to train on, or nothing held out."""
    if all(counts.values()):
        return []
    what = "1 example" if counts["train"] == 1 else f"{counts['train']:,} examples"
    message = f"the data have {what} to train on and {counts['held_out']:,} held out"
    help_ = "give more examples, or another share with `train.data.held_out`"
    return [("train.data.source", Diagnostic("R754", message, label="too few", help=help_))]


def _batches(records: Iterator[Record | Diagnostic], problems: list[Diagnostic]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    length = 0
    for record in records:
        if isinstance(record, Diagnostic):
            problems.append(record)
            if len(problems) >= ENOUGH:
                return
            continue
        batch.append(record)
        length += sum(len(each) for each in record.values.values() if isinstance(each, str))
        if len(batch) >= MANY or length >= LONG:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
