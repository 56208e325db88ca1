"""All that is settled before the first example is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tfdsl import settings, tokens
from tfdsl.data import find, fit, folders
from tfdsl.data.asked import Asked
from tfdsl.data.encode import Encoder
from tfdsl.data.fit import Chosen, Problems
from tfdsl.data.learn import Learnt, learn
from tfdsl.data.source import Source
from tfdsl.data.tables import Work
from tfdsl.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is read, what was learnt from it, and what becomes of each example."""

    asked: Asked
    train: Source
    held_out: Source | None
    learnt: Learnt
    work: Work
    remarks: Problems = field(default_factory=list[tuple[str, Diagnostic]])


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The sources, with the columns alone that are wanted, which of them is which field, and what is worth a word."""

    train: Source
    held_out: Source | None
    chosen: Chosen
    remarks: Problems

    def all(self) -> list[Source]:
        """Return the one source, or both."""
        return [self.train] if self.held_out is None else [self.train, self.held_out]


def plan(asked: Asked) -> tuple[Plan | None, Problems]:
    """Return the plan, or what stands in the way."""
    seen, problems = look(asked)
    if seen is None:
        return None, problems
    learnt, problems = learn(asked, seen.chosen, (seen.train, seen.held_out))
    return (None, problems) if learnt is None else (settled(asked, seen, learnt), [])


def look(asked: Asked) -> tuple[Seen | None, Problems]:
    """Find the sources and their columns, or say what stands in the way."""
    train, held_out, remarks = _sources(asked.data)
    if train is None:
        return None, remarks
    chosen, problems = fit.choose(asked.wanted, train, asked.data)
    if chosen is None:
        return None, problems
    problems = fit.unheeded(chosen, asked.data) + (
        [] if held_out is None else fit.same(chosen, train, held_out, asked.data)
    )
    if problems:
        return None, problems
    columns = list(chosen.columns.values())
    return Seen(train.narrow(columns), None if held_out is None else held_out.narrow(columns), chosen, remarks), []


def settled(asked: Asked, seen: Seen, learnt: Learnt) -> Plan:
    """Return the plan with what was learnt."""
    return Plan(asked, seen.train, seen.held_out, learnt, _work(asked, seen, learnt), seen.remarks)


def _sources(data: settings.Data) -> tuple[Source | None, Source | None, Problems]:
    """Return the source to train on, the one that is held out where it is another, and what is worth a word.

    Without a source, what stands in the way.
    """
    found = find.find(data)
    problems = [("train.data.source", each) for each in found.problems]
    problems += [] if problems else find.unheeded(data)
    remarks = [("train.data.source", each) for each in found.remarks]
    said = "held_out" in data.model_fields_set
    held_out = None if said else found.held_out
    other = None
    if isinstance(data.held_out, str):
        other = find.find(data, data.held_out)
        problems += [("train.data.held_out", each) for each in (*other.problems, *_parts(data.held_out, other))]
        remarks += [("train.data.held_out", each) for each in other.remarks]
        held_out = other.source
    if said and found.held_out is not None:
        unread = [path for path in found.held_out.files() if other is None or other.source is None]
        if other is not None and other.source is not None:
            read = {path.resolve() for path in other.source.files()}
            unread = [path for path in found.held_out.files() if path.resolve() not in read]
        if unread:
            remarks.append(("train.data.held_out", folders.left_out(Path(data.source), unread, *_SAID)))
    return (None, None, problems) if problems else (found.source, held_out, remarks)


_SAID = "`held_out` says what is held out", "leave `held_out` out, and the part of that name is held out"


def _parts(name: str, found: find.Found) -> list[Diagnostic]:
    """Refuse a source to be held out that has parts itself, of which one alone would be read."""
    if found.source is None or found.held_out is None:
        return []
    some = [(each.files() or [Path(name)])[0] for each in (found.source, found.held_out)]
    message = f"`{name}` has a part to train on (`{some[0]}`) and one that is held out (`{some[1]}`)"
    return [Diagnostic("R756", message, label="which is meant?", help="name the folder or the file of the part")]


def _work(asked: Asked, seen: Seen, learnt: Learnt) -> Work:
    """Return what is to be done with each example."""
    wanted, chosen, tail = asked.wanted, seen.chosen, ()
    classes = {field.name: seen.train.classes.get(chosen.columns[field.name], ()) for field in chosen.of("label")}
    whole = wanted.whole and len(chosen.fields) == 1  # a prompt and its answer are apart, and marked by who joins them
    if whole and learnt.tokenizer is not None:
        mark = tokens.marks(learnt.tokenizer).end
        tail = asked.end[:1] or (() if mark is None else (mark,))
    special = whole and not {"start", "first", "separator"}.intersection(wanted.marks)
    encoder = None if learnt.tokenizer is None else Encoder(learnt.tokenizer, learnt.made, special)
    return Work(chosen, encoder, learnt.labels, tail, asked.share, asked.apart, asked.data.image, classes)
