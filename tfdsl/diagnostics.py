"""What tfdsl says about a spec: spans, diagnostics and their codes."""

from __future__ import annotations

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
