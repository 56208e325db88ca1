"""From settings to tables: find the source, make or take the tokenizer, write the columns, check what there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from tfdsl import disk, settings, tokens
from tfdsl.data import find, fit, manifest
from tfdsl.data.adopt import adopt
from tfdsl.data.encode import Encoder
from tfdsl.data.fit import Chosen
from tfdsl.data.learn import Learnt, learn
from tfdsl.data.source import Source
from tfdsl.data.table import Prepared
from tfdsl.data.tables import Work
from tfdsl.data.wanted import Wanted
from tfdsl.data.write import PARTS, write
from tfdsl.diagnostics import Diagnostic, Span

MANIFEST, Damaged = manifest.NAME, manifest.Damaged
Problems = list[tuple[str, Diagnostic]]


def prepare(
    data: settings.Data,
    tokenizer: settings.Tokenizer,
    wanted: Wanted,
    vocab: int,
    *,
    own: Tokenizer | None = None,
    end: Sequence[int] = (),
    pad: int | None = None,
    where: Span | None = None,
    folder: Path,
) -> tuple[Prepared | None, Problems]:
    """Write what an objective wants of the data as tables below `folder`, or say what stands in the way, by place.

    `vocab` is the model's token count and `pad` its pad. A model that was trained before brings its `own` tokenizer,
    and the tokens that `end` a text with it; `where` is where the spec says how many
    tokens there are. What is wrong is told with the place in the spec that it is about.
    """
    if manifest.holds(Path(data.source)):
        return adopt(data, tokenizer, wanted, vocab, own, pad, where, folder)
    train, held_out, problems = sources(data)
    if train is None:
        return None, problems
    chosen, problems = fit.choose(wanted, train, data)
    if chosen is None:
        return None, problems
    problems = fit.unheeded(chosen, data) + ([] if held_out is None else fit.same(chosen, held_out, data))
    if problems:
        return None, problems
    train = train.narrow(list(chosen.columns.values()))
    held_out = held_out and held_out.narrow(list(chosen.columns.values()))
    learnt, problems = learn(tokenizer, wanted, chosen, (train, held_out), data, vocab, own, pad, where)
    if learnt is None:
        return None, problems
    work = work_of(data, wanted, chosen, learnt, end)
    layouts, problems = write(work, train, held_out, folder)
    if problems:
        for part in PARTS:
            disk.clear(folder / part)
        return None, problems
    manifest.seal(folder, layouts, learnt, wanted.whole, (train, held_out))
    return reopen(folder), []


def sources(data: settings.Data) -> tuple[Source | None, Source | None, Problems]:
    """Return the source to train on and the one that is held out where it is another, or what stands in the way."""
    found = find.find(data)
    problems = [("train.data.source", each) for each in found.problems]
    held_out = found.held_out if "held_out" not in data.model_fields_set else None
    if isinstance(data.held_out, str):
        other = find.find(data, data.held_out)
        problems += [("train.data.held_out", each) for each in other.problems]
        held_out = other.source
    return (None, None, problems) if problems else (found.source, held_out, [])


def work_of(data: settings.Data, wanted: Wanted, chosen: Chosen, learnt: Learnt, end: Sequence[int]) -> Work:
    """Return what is to be done with each example."""
    tail: tuple[int, ...] = ()
    if wanted.whole and learnt.tokenizer is not None:
        mark = tokens.marks(learnt.tokenizer).end
        tail = tuple(end[:1]) or (() if mark is None else (mark,))
    special = wanted.whole and not {"start", "first", "separator"}.intersection(wanted.marks)
    encoder = None if learnt.tokenizer is None else Encoder(learnt.tokenizer, learnt.made, special)
    share = data.held_out if isinstance(data.held_out, float) else 0.1
    return Work(chosen, encoder, learnt.labels, tail, share, data.image)


def reopen(folder: Path) -> Prepared:
    """Return what was prepared in `folder`, mapped into memory; raises Damaged where a file is not what it was."""
    return manifest.opened(folder)
