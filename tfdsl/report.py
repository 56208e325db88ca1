"""Diagnostics as text for people, as JSON, as SARIF, and as edits to the text that they are about."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from tfdsl.diagnostics import Diagnostic, Edit, Lines, Note, Severity, Span, collect

WIDEST = 110  # columns of a line that are shown
BEFORE = 30  # of them before the place, where the line is cut at its start
TALLEST = 6  # lines of a place that are shown
TAB = "    "
COLOURS = {"error": "1;31", "warning": "1;33", "note": "1;36", "bold": "1", "rail": "1;34"}
LEVELS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "note": "note"}


def render(diagnostics: Iterable[Diagnostic], texts: Mapping[str, str], color: bool = False) -> str:
    """Return what a terminal shows of the diagnostics: each with its lines of `texts` (by file), and their sum."""
    found = collect(diagnostics)
    if not found:
        return ""
    lines = {file: Lines(text.removeprefix("\ufeff"), file) for file, text in texts.items()}
    page = Page(lines, color)
    parts = ["\n".join(page.diagnostic(each)) for each in found]
    if len(found) > 1:
        parts.append(summary(found))
    return "\n\n".join(parts) + "\n"


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """Return how many diagnostics of each severity there are: `2 errors, 1 warning in tiny.yaml`.

    The file is named where all of them are in it; several are counted where each of them is in one.
    """
    counts = {level: sum(each.severity == level for each in diagnostics) for level in LEVELS}
    said = [f"{count} {level}{'s' if count != 1 else ''}" for level, count in counts.items() if count]
    files = sorted({each.span.file if each.span else "" for each in diagnostics})
    if len(files) == 1:
        where = f" in {_safe(files[0])}" if files[0] else ""
    else:
        where = "" if any(not file or file.startswith("--set ") for file in files) else f" in {len(files)} files"
    return ", ".join(said) + where


class Page:
    """The text of diagnostics, in colours where they are wanted."""

    def __init__(self, lines: Mapping[str, Lines], color: bool) -> None:
        self.lines = lines
        self.color = color

    def paint(self, style: str, text: str) -> str:
        return f"\x1b[{COLOURS[style]}m{text}\x1b[0m" if self.color and text else text

    def diagnostic(self, each: Diagnostic) -> list[str]:
        """Return the lines of one diagnostic."""
        width = len(str(each.span.end_line)) if each.span else 1
        head = self.paint(each.severity, f"{each.severity}[{each.code}]") + self.paint(
            "bold", f": {_safe(each.message)}"
        )
        page = [head]
        if each.span is not None:
            page += [self.place(each.span, width), *self.snippet(each.span, _safe(each.label), each.severity, width)]
        for note in each.notes:
            page += self.note(note, width)
        helps = [f"help: {_safe(each.help)}"] if each.help else []
        page += helps + [f"      {_safe(line)}" for line in each.context]
        return page

    def place(self, span: Span, width: int) -> str:
        return " " * width + self.paint("rail", "--> ") + f"{_safe(span.file)}:{span.line}:{span.column}"

    def note(self, note: Note, width: int) -> list[str]:
        return [f"note: {_safe(note.message)}"] + ([self.place(note.span, width)] if note.span else [])

    def snippet(self, span: Span, label: str, severity: Severity, width: int) -> list[str]:
        """Return the lines of a place between two rails, with carets under it."""
        text = self.lines.get(span.file)
        if text is None or not 1 <= span.line <= len(text.starts):
            return []
        rail = self.paint("rail", " " * width + " |")
        if span.end_line > span.line and not (span.end_line == span.line + 1 and span.end_column == 1):
            return [rail, *self.block(text, span, label, severity, width)]
        raw = text.line(span.line)
        end = span.end_column if span.end_line == span.line else len(raw) + 1
        shown, start, stop = _window(raw, span.column - 1, max(end - 1, span.column))
        carets = self.paint(severity, "^" * max(stop - start, 1) + (f" {label}" if label else ""))
        return [rail, self.numbered(span.line, width, shown), f"{rail} {' ' * start}{carets}"]

    def block(self, text: Lines, span: Span, label: str, severity: Severity, width: int) -> list[str]:
        """Return the lines of a place that has several, tied by a line at their left."""
        rail = self.paint("rail", " " * width + " |")
        numbers = range(span.line, span.end_line + 1)
        page: list[str] = []
        for number in numbers:
            if len(numbers) > TALLEST and span.line + 2 < number < span.end_line - 1:
                if number == span.line + 3:
                    page.append(self.paint("rail", "..." + " " * max(width - 1, 0)) + self.paint(severity, "|"))
                continue
            shown = _window(text.line(number), 0, 1)[0]
            mark = self.paint(severity, "/" if number == span.line else "|")
            page.append(self.numbered(number, width, f"{mark} {shown}".rstrip()))
        end = _window(text.line(span.end_line), max(span.end_column - 2, 0), max(span.end_column - 1, 1))[1]
        corner = self.paint(severity, f"|_{'_' * end}^" + (f" {label}" if label else ""))
        return [*page, f"{rail} {corner}"]

    def numbered(self, number: int, width: int, shown: str) -> str:
        return self.paint("rail", f"{number:>{width}} |") + (f" {shown}" if shown else "")


def _cells(line: str) -> list[tuple[str, int]]:
    """Return what a terminal may be given for each character, and how many columns that takes."""
    cells: list[tuple[str, int]] = []
    for character in line:
        if character == "\t":
            cells.append((TAB, len(TAB)))
        elif not _shows(character):
            cells.append(("\ufffd", 1))
        elif unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
            cells.append((character, 0))
        else:
            cells.append((character, 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1))
    return cells


def _shows(character: str) -> bool:
    """Return whether a character shows itself and does nothing else: no control, no mark that reorders the line."""
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return False
    return character not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _safe(text: str) -> str:
    """Return `text` as one line without anything that a terminal would obey."""
    return "".join(character if _shows(character) else " " if character in "\t\n\r" else "\ufffd" for character in text)


def _window(line: str, start: int, end: int) -> tuple[str, int, int]:
    """Return the part of a line that is shown, and the columns in it (from 0) between which the place stands."""
    first, last = 0, len(line)
    if len(line) > 4 * WIDEST:  # do not measure what cannot be shown
        first, last = max(start - WIDEST, 0), min(start + 2 * WIDEST, len(line))
    cells = _cells(line[first:last])
    edges = [0]
    for _, columns in cells:
        edges.append(edges[-1] + columns)
    start, end = max(start - first, 0), max(end - first, 0)
    left = edges[start] if start < len(edges) else edges[-1] + start - len(cells)
    right = edges[end] if end < len(edges) else max(edges[-1], left + 1)
    if edges[-1] <= WIDEST and first == 0 and last == len(line):
        return "".join(cell for cell, _ in cells), left, right
    begin = 0 if first == 0 and left < WIDEST - BEFORE else max(left - BEFORE, 0)
    chosen = [i for i in range(len(cells)) if begin <= edges[i] and edges[i + 1] <= begin + WIDEST]
    shown = "".join(cells[i][0] for i in chosen)
    cut_left = chosen and (chosen[0] > 0 or first > 0)
    cut_right = chosen and (chosen[-1] + 1 < len(cells) or last < len(line))
    offset = (edges[chosen[0]] if chosen else 0) - (1 if cut_left else 0)
    shown = ("…" if cut_left else "") + shown + ("…" if cut_right else "")
    return shown, left - offset, min(right, begin + WIDEST) - offset


def to_json(diagnostics: Iterable[Diagnostic]) -> str:
    """Return the diagnostics as JSON: `{"diagnostics": [...], "errors": 1, "warnings": 0, "notes": 0}`."""
    found = collect(diagnostics)
    listed = [{"severity": each.severity, **asdict(each)} for each in found]
    counts = {f"{level}s": sum(each.severity == level for each in found) for level in LEVELS}
    return _clean(json.dumps({"diagnostics": listed, **counts}, indent=2, ensure_ascii=False)) + "\n"


def to_sarif(diagnostics: Iterable[Diagnostic]) -> str:
    """Return the diagnostics as SARIF 2.1.0 (OASIS), which code hosts and editors read."""
    from tfdsl import __version__
    from tfdsl.errors import title

    found = collect(diagnostics)
    codes = sorted({each.code for each in found})
    rules = [{"id": code, "shortDescription": {"text": title(code) or code}} for code in codes]
    driver = {"name": "tfdsl", "version": __version__, "rules": rules}
    results = [_result(each, codes.index(each.code)) for each in found]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return (
        _clean(json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)) + "\n"
    )


def _result(each: Diagnostic, rule: int) -> dict[str, Any]:
    message = ". ".join(part for part in (each.message, each.label, each.help, *each.context) if part)
    result: dict[str, Any] = {
        "ruleId": each.code,
        "ruleIndex": rule,
        "level": LEVELS[each.severity],
        "message": {"text": message},
        "locations": [_location(each.span)] if each.span else [],
    }
    related = [{**_location(note.span), "message": {"text": note.message}} for note in each.notes if note.span]
    if related:
        result["relatedLocations"] = related
    if each.edits:
        result["fixes"] = [_fix(each)]
    return result


def _location(span: Span) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(span.file)}, "region": _region(span)}}


def _region(span: Span) -> dict[str, int]:
    ends = {"endLine": span.end_line, "endColumn": span.end_column}
    return {"startLine": span.line, "startColumn": span.column, **ends}


def _fix(each: Diagnostic) -> dict[str, Any]:
    files = sorted({edit.span.file for edit in each.edits})
    changes = [
        {
            "artifactLocation": {"uri": _uri(file)},
            "replacements": [
                {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}
                for edit in each.edits
                if edit.span.file == file
            ],
        }
        for file in files
    ]
    return {"description": {"text": each.help or each.message}, "artifactChanges": changes}


def _uri(file: str) -> str:
    return quote(file.replace("\\", "/"), errors="replace")


def _clean(text: str) -> str:
    """Return `text` without the halves of surrogate pairs, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def apply_edits(text: str, diagnostics: Iterable[Diagnostic], file: str | None = None) -> str:
    """Return `text` with the certain fixes made: those for `file` (None: all of them), none of which overlap.

    The fix of one diagnostic is made whole or not at all; of two that touch the same place, the first is made.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix("\ufeff")
    lines = Lines(text)
    made: list[tuple[int, int, str]] = []
    for each in collect(diagnostics):
        edits = [_offsets(edit, lines) for edit in each.edits if file is None or edit.span.file == file]
        if len(edits) == len(each.edits) and not any(_touch(new, old) for new in edits for old in made):
            made += edits
    for start, end, new in sorted(made, reverse=True):
        text = text[:start] + new + text[end:]
    return mark + text


def _offsets(edit: Edit, lines: Lines) -> tuple[int, int, str]:
    span = edit.span
    return lines.offset(span.line, span.column), lines.offset(span.end_line, span.end_column), edit.text


def _touch(one: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    """Return whether two edits overlap; insertions in the same place do."""
    return (one[0] < other[1] and other[0] < one[1]) or one[0] == other[0]
