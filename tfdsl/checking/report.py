"""What the walk has found: one diagnostic a cause, each with the copies of a block that have it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from tfdsl.diagnostics import Diagnostic, Edit, Note, Span
from tfdsl.document import Document
from tfdsl.expressions import ExpressionError
from tfdsl.node import Path
from tfdsl.spec import inside

Key = tuple[str, Path, str]


@dataclass
class Report:
    """The diagnostics so far, by what they say and where."""

    document: Document
    found: dict[Key, Diagnostic] = field(default_factory=dict[Key, Diagnostic])
    copies: dict[Key, Counter[str]] = field(default_factory=dict[Key, "Counter[str]"])
    open: list[set[Key]] = field(default_factory=list[set[Key]])

    def add(self, code: str, message: str, path: Path, detail: str = "", span: Span | None = None, **more: Any) -> None:
        """Add a diagnostic at `path`; one with this code at this place (and this `detail`) is there once."""
        key = (code, path, detail)
        self.found.setdefault(key, Diagnostic(code, message, span or self.document.span(path), **more))
        for names in self.open:
            names.add(key)

    def expression(self, error: ExpressionError, path: Path, notes: tuple[Note, ...] = ()) -> None:
        """Add what is wrong with the expression at `path`."""
        if not error.code:
            return
        span = inside(self.document, path, error.start, error.end)
        edits = (Edit(span, error.replacement),) if span is not None and error.replacement else ()
        self.add(error.code, error.message, path, error.message, span, help=error.help, notes=notes, edits=edits)

    def note(self, path: Path, message: str) -> Note:
        """Return a note that shows `path`."""
        return Note(message, self.document.span(path))

    def counted(self, keys: frozenset[Key], block: str, count: int = 1) -> None:
        """Say that `count` more copies of `block` have the diagnostics in `keys`."""
        for key in keys:
            self.copies.setdefault(key, Counter())[block] += count

    @property
    def broken(self) -> bool:
        """Return whether there is an error."""
        return any(diagnostic.severity == "error" for diagnostic in self.found.values())

    def diagnostics(self) -> list[Diagnostic]:
        """Return all diagnostics, each with the copies of blocks in which it is."""
        return [replace(each, context=self._context(key)) for key, each in self.found.items()]

    def _context(self, key: Key) -> tuple[str, ...]:
        counts = self.copies.get(key, Counter())
        return tuple(f"in {count} copies of block `{block}`" for block, count in counts.items() if count > 1)


def lines(error: ValidationError) -> list[tuple[str, Path, dict[str, Any]]]:
    """Return the code, the place and the context of each error that a part's validation found."""
    return [(line["type"], line["loc"], line.get("ctx", {})) for line in error.errors(include_url=False)]
