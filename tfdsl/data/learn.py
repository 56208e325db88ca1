"""What is learnt from the data before any of it is written: the vocabulary and the names of the classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from tfdsl import tokens
from tfdsl.data import values
from tfdsl.data.asked import Asked
from tfdsl.data.fit import Chosen, Problems
from tfdsl.data.source import Record, Source
from tfdsl.diagnostics import Diagnostic, Note

SHOWN = 5  # problems that are told one by one
MOST = 1 << 20  # classes that a model may tell apart


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """The tokenizer (None where nothing is text) and the classes of each field of labels.

    `made` says that the tokenizer was made here, as the `setting` says.
    """

    tokenizer: Tokenizer | None
    made: bool
    labels: Mapping[str, tuple[str, ...]]
    setting: Mapping[str, Any]


def learn(asked: Asked, chosen: Chosen, sources: tuple[Source, Source | None]) -> tuple[Learnt | None, Problems]:
    """Return what the data teach, reading them once at most; or what does not fit the model or cannot be read."""
    setting = asked.tokenizer
    needs_text = bool(chosen.of("text"))
    made = asked.own is None and setting.file is None
    survey = _Survey(chosen, sources, asked.share)
    tokenizer = asked.own
    if needs_text and asked.own is None:
        try:
            trained = made and setting.type != "bytes"
            documents = survey.texts(held_out=setting.type == "characters") if trained else iter(())
            tokenizer = tokens.make(setting, documents, asked.vocab, asked.wanted.marks, asked.wanted.extras, asked.pad)
        except ValueError as error:
            message = f"`{setting.file}` cannot be read as a tokenizer"
            note = (Note(str(error)),)
            return None, [("train.tokenizer.file", Diagnostic("R750", message, label="no tokenizer.json", notes=note))]
    labels = survey.labels()
    if survey.problems or survey.apart:
        return None, [*gathered(survey.problems), *gathered(survey.apart, asked.apart)]
    problems: Problems = []
    if needs_text and tokenizer is not None:
        tokens.plain(tokenizer)
        problems = against(asked, tokenizer) + (_larger(asked, tokenizer) if made else [])
    return (
        (None, problems)
        if problems
        else (Learnt(tokenizer if needs_text else None, made, labels, setting.model_dump()), [])
    )


class _Survey:
    """Reads the sources for what must be known beforehand, and keeps the classes that it meets on its way."""

    def __init__(self, chosen: Chosen, sources: tuple[Source, Source | None], share: float) -> None:
        self._chosen, self._sources = chosen, sources
        self._share = share
        self._met: dict[str, set[str]] = {field.name: set() for field in chosen.of("label")}
        self._read = False
        self._wrong: list[Diagnostic] = []
        self.problems: list[Diagnostic] = []
        self.apart: list[Diagnostic] = []  # of the source that is held out

    def texts(self, held_out: bool) -> Iterator[str]:
        """Yield the texts to learn from; those held out too where `held_out` says so."""
        columns = [self._chosen.columns[field.name] for field in self._chosen.of("text")]
        for record, apart in self._records():
            for column in columns:
                try:
                    text = values.text(values.held(record, column))
                except values.Unfit as reason:
                    self._wrong.append(reason.diagnostic(record, column))
                    break
                if held_out or not apart:
                    yield text

    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names of the classes of each field of labels, by number."""
        train = self._sources[0]
        known = {
            field.name: train.classes.get(self._chosen.columns[field.name], ()) for field in self._chosen.of("label")
        }
        if not all(known.values()) and not self._read:
            for _ in self._records():
                pass
        return {name: names or _ordered(self._met[name]) for name, names in known.items()}

    def _records(self) -> Iterator[tuple[Record, bool]]:
        """Yield the records and whether each is held out, noting the classes; what is wrong is kept."""
        self._read = True
        train, held_out = self._sources
        apart = train.apart(self._share) if held_out is None else None
        for source in self._sources:
            self._wrong = self.problems if source is train else self.apart
            for record in source.read(0, source.count) if source is not None else ():
                if isinstance(record, Diagnostic):
                    self._wrong.append(record)
                    continue
                self._note(record)
                yield record, source is held_out or (apart is not None and bool(apart[record.unit]))

    def _note(self, record: Record) -> None:
        for name, met in self._met.items():
            try:
                met.add(values.label(record.values.get(self._chosen.columns[name]), ()))
            except values.Unfit:
                continue  # told when it is written


def _ordered(names: set[str]) -> tuple[str, ...]:
    """Return names in order: whole numbers by their size, from 0 to the largest where none is below; or by alphabet.

    Numbers beyond all counting, such as those of customers, are names.
    """
    if names and all(name.isdecimal() for name in names) and max(map(int, names)) < MOST:
        return tuple(str(number) for number in range(max(map(int, names)) + 1))
    if all(name.removeprefix("-").isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names))


def gathered(problems: list[Diagnostic], place: str = "train.data.source") -> Problems:
    """Return the first few problems of what a setting names, and how many more of their kind there are."""
    told = [(place, each) for each in problems[:SHOWN]]
    if len(problems) > SHOWN:
        first = problems[0]
        rest = f"{len(problems) - SHOWN:,} more of the data cannot be read"
        if first.code == "R703":
            rest = f"{len(problems) - SHOWN:,} more files cannot be read as text"
        told.append((place, Diagnostic(first.code, rest, help=first.help)))
    return told


def _larger(asked: Asked, tokenizer: Tokenizer) -> Problems:
    """Say where a vocabulary that was made here has more tokens than its settings allow."""
    most, size = asked.tokenizer.vocab_size, tokens.size(tokenizer)
    if most is None or size <= most:
        return []
    message = f"`{asked.tokenizer.type}` has {size:,} tokens here, and `vocab_size` allows {most:,}"
    help_ = "its letters (of `bpe`, the 256 bytes) and the marks of the objective are the least that it has"
    return [("train.tokenizer.vocab_size", Diagnostic("R875", message, label="too few", help=help_))]


def against(asked: Asked, tokenizer: Tokenizer) -> Problems:
    """Say what in a vocabulary does not fit the model or the objective: its size, its pad, its marks."""
    problems: Problems = []
    setting, wanted, pad = asked.tokenizer, asked.wanted, asked.pad
    size, found = tokens.size(tokenizer), tokens.marks(tokenizer)
    what = (
        "the model's own"
        if asked.own is not None
        else f"`{setting.file}`"
        if setting.file
        else f"`{setting.type}` over `{asked.data.source}`"
    )
    if size > asked.vocab:
        message = f"the tokenizer makes {size:,} tokens, the model takes {asked.vocab:,}"
        help_ = f"set the model's vocabulary size to {size}"
        notes = (Note("the model's vocabulary is set here", asked.where),)
        problems.append(("train.tokenizer", Diagnostic("R704", message, None, what, notes, help_)))
    if pad is not None and found.pad is not None and found.pad != pad:
        message = f"the tokenizer pads with token {found.pad:,}, the model's input with {pad:,}"
        help_ = f"write `pad: {found.pad}` at the model's input"
        problems.append(("train.tokenizer", Diagnostic("R752", message, None, what, help=help_)))
    spare = {*wanted.spare, *(["pad"] if pad is not None else [])}
    missing = [name for name in wanted.marks if getattr(found, name) is None and name not in spare]
    if missing or len(found.extras) < wanted.extras:
        numbered = [f"{wanted.extras} numbered marks (it has {len(found.extras)})"] * (
            len(found.extras) < wanted.extras
        )
        marks = [f"the mark{'s' * (len(missing) > 1)} {', '.join(f'`{name}`' for name in missing)}"] * bool(missing)
        message = f"the objective needs {' and '.join(marks + numbered)}, which the tokenizer does not have"
        spelt = ", ".join(tokens.MARKS[name] for name in missing) or "<extra_id_0>, …"
        help_ = f"leave `tokenizer.file` out, so that one is made that has them, or add them to the file: {spelt}"
        problems.append(("train.tokenizer", Diagnostic("R751", message, None, what, help=help_)))
    return problems
