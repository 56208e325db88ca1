"""What tfdsl says about a spec: spans, diagnostics and their codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
            if sorted(wanted.split("_")) == sorted(other.split("_")):
                score = 1.5
            elif min(len(wanted), len(other)) >= 3 and (other.startswith(wanted) or wanted.startswith(other)):
                score = 2.5
            else:
                continue
        elif sorted(wanted) == sorted(other):
            score -= 0.5  # swapped letters before changed ones
        if wanted and (best is None or (score, candidate) < best):
            best = (score, candidate)
    return best[1] if best else None


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
