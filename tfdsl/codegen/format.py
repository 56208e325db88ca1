"""format: lays Python text out as `ruff format` does, for the plain statements that the compiler writes.

A text goes in as statements that may be as long as they like, spaced as they should be within a line. What is too long
is split at the last bracket: the contents in one line if they fit, else an item a line with a comma behind it. Comments
stand on lines of their own.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

WIDTH = 88
OPEN, CLOSE = "([{", ")]}"
WORDS = ((" if ", " else "), (" or ",), (" and ",), (" & ",), (" + ", " - "), (" * ", " / ", " @ "))


def lay(text: str) -> str:
    """Return `text` with every statement in the layout of `ruff format`; blank lines and comments stay as they are."""
    found: list[str] = []
    for line in logical_lines(text):
        body = line.lstrip(" ")
        plain = body and not body.startswith("#") and "\n" not in body and '"""' not in body
        found += split(body, len(line) - len(body)) if plain else [line.rstrip()]
    return "\n".join(found) + "\n"


def logical_lines(text: str) -> Iterator[str]:
    """Yield the statements, comments and blank lines of `text`, a statement on one line (a docstring keeps its own)."""
    lines, first, depth = text.splitlines(), 0, 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.OP:
            depth += (token.string in OPEN) - (token.string in CLOSE)
        elif token.type in (tokenize.NEWLINE, tokenize.NL) and depth == 0 and token.start[0] > first:
            yield flat("\n".join(lines[first : token.start[0]]))
            first = token.start[0]


def flat(statement: str) -> str:
    """Return a statement without the breaks inside its brackets, and without a comma before a closing one."""
    if "\n" not in statement or '"""' in statement:
        return statement
    first, *rest = statement.split("\n")
    text = first.rstrip()
    for part in (line.strip() for line in rest):
        if part[0] in CLOSE:
            text = text.removesuffix(",")
        text += part if text[-1] in OPEN or part[0] in CLOSE else f" {part}"
    return text


def marks(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield each character outside quotes: its place, itself, and how many brackets it stands in."""
    quote, depth, place = "", 0, 0
    while place < len(text):
        mark = text[place]
        if quote:
            place += mark == "\\"
            quote = "" if mark == quote else quote
        elif mark in "\"'":
            quote = mark
        else:
            depth -= mark in CLOSE
            yield place, mark, depth
            depth += mark in OPEN
        place += 1


def items(text: str) -> list[str]:
    """Split `text` at the commas outside brackets and quotes."""
    cuts = [place for place, mark, depth in marks(text) if mark == "," and depth == 0]
    return [
        text[a + 1 : b].strip() for a, b in zip([-1, *cuts], [*cuts, len(text)], strict=True) if text[a + 1 : b].strip()
    ]


def split(text: str, indent: int, comma: str = "") -> Iterator[str]:
    """Yield the lines of a statement (or of an item that `comma` follows), each at most `WIDTH` wide if it can be."""
    margin, colon = " " * indent, ":" if text.endswith(":") else ""
    body = text.removesuffix(":")
    if indent + len(text + comma) <= WIDTH:
        yield f"{margin}{text}{comma}"
    elif body[-1] not in CLOSE or _operators(_value(body)):
        yield from _wrapped(text, indent, comma)
    else:
        start = [place for place, mark, depth in marks(body) if mark in OPEN and depth == 0][-1]
        inside = body[start + 1 : -1]
        yield f"{margin}{body[: start + 1]}"
        if indent + 4 + len(inside) <= WIDTH:
            yield f"{margin}    {inside}"
        elif (loop := _loop(inside)) is not None:  # alone in its brackets: a comma behind it would not be Python
            yield from split(inside[:loop], indent + 4)
            yield from split(inside[loop + 1 :], indent + 4)
        else:
            for item in items(inside):
                yield from split(item, indent + 4, ",")
        yield f"{margin}{body[-1]}{colon}{comma}"


def _loop(text: str) -> int | None:
    """Return the place before the `for` of a comprehension."""
    found = [place for place, _, depth in marks(text) if depth == 0 and text.startswith(" for ", place)]
    return found[0] if found else None


def _value(text: str) -> str:
    """Return the right-hand side of a statement."""
    return re.split(r"^(?:return |[^(\[=]*=(?!=) ?)", text, maxsplit=1)[-1]


def _operators(text: str) -> list[int]:
    """Return the places of the loosest operators outside brackets and quotes."""
    for words in WORDS:
        found = [place for place, _, depth in marks(text) if depth == 0 and text.startswith(words, place)]
        if found:
            return found
    return []


def _wrapped(text: str, indent: int, comma: str) -> Iterator[str]:
    """Put the right-hand side of a statement into brackets of its own, an operand a line where it must be."""
    margin, value = " " * indent, _value(text)
    if value == text:
        yield f"{margin}{text}{comma}"
        return
    cuts = [0, *(place + 1 for place in _operators(value)), len(value)]
    parts = (
        [value]
        if indent + 4 + len(value) <= WIDTH
        else [value[a:b].strip() for a, b in zip(cuts, cuts[1:], strict=False)]
    )
    yield f"{margin}{text[: len(text) - len(value)]}("
    yield from (f"{margin}    {part}" for part in parts)
    yield f"{margin}){comma}"
