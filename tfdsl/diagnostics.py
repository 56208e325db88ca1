"""What tfdsl says about a spec: spans, diagnostics and their codes."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text: lines and columns count from 1, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Note:
    """The other place, or a further fact."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to the text: what stands in `span` becomes `text` (an empty span inserts)."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One cause, said once.

    `label` is printed behind the carets of `span`; `notes` are the other places; `help` says what to do;
    `edits`, where there are any, are a fix that is certain and that a tool may apply; `context` says where it applies
    (``in 12 copies of block `layer` ``).
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""
    edits: tuple[Edit, ...] = ()
    context: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """Return the severity, which the code's first letter tells: W a warning, I a note, all others an error."""
        return {"W": "warning", "I": "note"}.get(self.code[0], "error")  # type: ignore[return-value]


class Lines:
    """Where each line of a text begins, so that an offset becomes a line and a column, and a place an offset."""

    def __init__(self, text: str, file: str = "") -> None:
        self.file = file
        self.text = text
        self.starts = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", text))]

    def span(self, start: int, end: int) -> Span:
        """Return the span from offset `start` to offset `end`."""
        return Span(self.file, *self.place(start), *self.place(end))

    def place(self, offset: int) -> tuple[int, int]:
        """Return the line and the column of an offset, both from 1."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a place, or the nearest that the text has."""
        if not 1 <= line <= len(self.starts):
            return 0 if line < 1 else len(self.text)
        return min(self.starts[line - 1] + column - 1, len(self.text))

    def line(self, number: int) -> str:
        """Return the text of line `number` (from 1) without its break; nothing where there is no such line."""
        if not 1 <= number <= len(self.starts):
            return ""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r\n")


FAR = ("E402", "D105")  # and every T and N: what is missing or does not fit may show in many places
MOST = 4  # notes of further places


def collect(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return each cause once, by file and place; what is said of the same again adds its context to the first.

    A name that is not there is one cause, however often it is used, and so is a size that fits nowhere: the other
    places of which the same is said are notes. The copies of a block may disagree in other numbers, so two shape errors
    in one place are one.
    """
    causes: list[Diagnostic] = []
    known: dict[tuple[str, Span | None, str], int] = {}
    for each in sorted(diagnostics, key=_place):
        shape = each.code[0] == "T"
        words = (each.code, None if shape or each.code[0] == "N" or each.code in FAR else each.span, each.message)
        place = (each.code, each.span, "" if shape and each.span else each.message)
        index = known.get(place, known.get(words, len(causes)))
        known.setdefault(place, index)
        known.setdefault(words, index)
        if index == len(causes):
            causes.append(each)
        else:
            causes[index] = _joined(causes[index], each)
    return tuple(causes)


def _joined(first: Diagnostic, other: Diagnostic) -> Diagnostic:
    context = tuple(dict.fromkeys(first.context + other.context))
    if other.span == first.span:
        return replace(first, context=context)
    notes = (*first.notes, Note("here too", other.span)) if len(first.notes) < MOST else first.notes
    return replace(first, context=context, notes=notes, edits=first.edits + other.edits)


def _place(diagnostic: Diagnostic) -> tuple[str, int, int, int]:
    span = diagnostic.span or Span("", 0, 0, 0, 0)
    return span.file, span.line, span.column, ("error", "warning", "note").index(diagnostic.severity)


def suggest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `word` most likely means, or None where none is near.

    Near is an edit distance with swaps (Damerau and Levenshtein, restricted) of at most a third of the length; a
    candidate that `word` begins, that begins `word`, or that has the same parts in another order is near too.
    """
    wanted = word.lower()[:64]
    best: tuple[float, str] | None = None
    for candidate in candidates:
        other = candidate.lower()[:64]
        limit = max(1, max(len(wanted), len(other)) // 3) if len(wanted) > 1 else 0
        score = float(_distance(wanted, other, limit))
        if score > limit:
            # Further off, but of the same parts, or one the beginning of the other.
            if sorted(wanted.split("_")) == sorted(other.split("_")):
                score = 1.5
            elif min(len(wanted), len(other)) >= 3 and (other.startswith(wanted) or wanted.startswith(other)):
                score = 2.5
            else:
                continue
        elif other.startswith(wanted) or wanted.startswith(other):
            score -= 0.6  # a missing ending is more likely than another letter
        elif sorted(wanted) == sorted(other):
            score -= 0.5  # and so are swapped letters
        if wanted and (best is None or (score, candidate) < best):
            best = (score, candidate)
    return best[1] if best else None


def sure(word: str, candidates: Iterable[str]) -> bool:
    """Return whether one candidate alone is a slip away from `word`: a letter more, less, changed or swapped."""
    near = [other for other in candidates if _distance(word.lower(), other.lower(), 1) <= 1]
    return len(word) > 2 and len(near) == 1


def _distance(a: str, b: str, limit: int) -> int:
    """Return how many insertions, deletions, changes and swaps of neighbours lead from `a` to `b`, to `limit` + 1."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before, row = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, last, row = row, before, [i] + [0] * len(b)
        for j, y in enumerate(b, 1):
            row[j] = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], last[j - 2] + 1)
        if min(row) > limit:
            return limit + 1
    return row[-1]
