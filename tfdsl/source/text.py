"""Bytes to characters: the encodings, sizes and characters that a spec may have, and where in the text they stand."""

from __future__ import annotations

import re
import unicodedata

from tfdsl.diagnostics import Diagnostic, Edit, Lines, Span

LARGEST = 1 << 20  # bytes
SHOWN = 5  # of the forbidden characters
# Control characters, the line breaks of YAML 1.1 alone, lone surrogates, non-characters, and the marks that make a line
# read in another order than it is written (U+202A to U+202E, U+2066 to U+2069).
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def decode(raw: bytes, file: str) -> tuple[str, list[Diagnostic]]:
    """Return the text of `raw` (wrong bytes as U+FFFD) and what is wrong with its size, encoding or characters."""
    text = raw[: LARGEST + 1].decode("utf-8", "replace").removeprefix("\ufeff")
    top = Span(file, 1, 1, 1, 1)
    if len(raw) > LARGEST:
        return text, [large(file)]
    encoding = next((name for mark, name in MARKS if raw.startswith(mark)), "")
    if not encoding and (raw[1:8:2].count(0) > 1 or raw[0:8:2].count(0) > 1) and raw.count(0) * 3 > len(raw):
        encoding = "UTF-16"
    if encoding:
        help = "save it as UTF-8"
        return text, [Diagnostic("Y003", f"the text is {encoding}, and a spec is UTF-8", top, help=help)]
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8").removeprefix("\ufeff")
        span = Lines(before + "\ufffd", file).span(len(before), len(before) + 1)
        message = f"the byte 0x{raw[error.start]:02X} is not UTF-8"
        return text, [Diagnostic("Y003", message, span, label="not UTF-8", help="save the file as UTF-8")]
    return text, characters(text, file)


def large(file: str) -> Diagnostic:
    """Return the diagnostic for a text that is too large."""
    return Diagnostic("Y002", "a spec may hold 1 MiB, and this text is larger", Span(file, 1, 1, 1, 1))


def characters(text: str, file: str) -> list[Diagnostic]:
    """Return a diagnostic for each of the first forbidden characters of `text`."""
    found: list[Diagnostic] = []
    lines: Lines | None = None
    for match in FORBIDDEN.finditer(text):
        lines = lines or Lines(text, file)
        character = match.group()
        name = f"U+{ord(character):04X} ({unicodedata.name(character, 'a control character').lower()})"
        if "\ud800" <= character <= "\udfff":
            name = f"U+{ord(character):04X} (half of a surrogate pair)"
        span = lines.span(match.start(), match.end())
        edits = (Edit(span, ""),)
        found.append(
            Diagnostic("Y004", f"the character {name} may not stand in a spec", span, "remove it", edits=edits)
        )
        if len(found) == SHOWN:
            break
    return found
