"""Names of weights with gaps: `layers.$i.norm.*` stands for many, and says which number and which ending each has."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tfdsl import expressions
from tfdsl.expressions import Expression, ExpressionError, Numbers

_GAP = re.compile(
    r"\$(?:(?P<name>[a-z][a-z0-9_]*)|\((?P<sum>[^()]*(?:\([^()]*\)[^()]*)*)\))|(?P<star>\*)|(?P<stray>\$)"
)
LONGEST = 500  # characters of a name


class Star:
    """The gap that stands for the rest of a name: `weight`, `bias`."""


STAR = Star()
Piece = str | Expression | Star


@dataclass(frozen=True, slots=True)
class Gaps:
    """What stands in a name's gaps: the number of each counter, and the ending."""

    numbers: Mapping[str, int]
    rest: str = ""


@dataclass(frozen=True)
class Template:
    """A name with gaps. `pieces` are plain text, counters and sums of them, and at most one star."""

    text: str
    pieces: tuple[Piece, ...]

    @property
    def starred(self) -> bool:
        """Return whether it has a star."""
        return STAR in self.pieces

    @property
    def names(self) -> frozenset[str]:
        """Return the names in its gaps: counters and dims."""
        return frozenset(name for piece in self.pieces if isinstance(piece, Expression) for name in piece.names)

    @property
    def counters(self) -> tuple[str, ...]:
        """Return the counters that stand alone in it, in order."""
        return tuple(p.text for p in self.pieces if isinstance(p, Expression) and p.text.isidentifier())

    @cached_property
    def shape(self) -> re.Pattern[str]:
        """Return the regular expression of the names that it stands for."""
        seen: set[str] = set()
        text = ""
        for piece in self.pieces:
            if isinstance(piece, str):
                text += re.escape(piece)
            elif isinstance(piece, Expression):
                text += f"(?P={piece.text})" if piece.text in seen else f"(?P<{piece.text}>[0-9]+)"
                seen.add(piece.text)
            else:
                text += r"(.+)"
        return re.compile(text)

    def match(self, name: str) -> Gaps | None:
        """Return what stands in the gaps where `name` is such a name, or None."""
        found = self.shape.fullmatch(name)
        if found is None:
            return None
        numbers = found.groupdict()
        rest = [text for index, text in enumerate(found.groups(), 1) if index not in self.shape.groupindex.values()]
        return Gaps({key: int(number) for key, number in numbers.items()}, rest[0] if rest else "")

    def filled(self, gaps: Gaps, dims: Mapping[str, Any]) -> str:
        """Return the name with its gaps filled; raise ExpressionError where a sum has no whole value."""
        text = ""
        for piece in self.pieces:
            if isinstance(piece, str):
                text += piece
            elif isinstance(piece, Expression):
                text += str(whole(piece, gaps, dims))
            else:
                text += gaps.rest
        return text


def number(value: Any, gaps: Gaps, dims: Mapping[str, Any]) -> Any:
    """Return a number as it is, and an expression over counters and dims as its value; raises ExpressionError."""
    return value.fold(Numbers(ChainMap(dict(gaps.numbers), dims))) if isinstance(value, Expression) else value  # type: ignore[arg-type]


def whole(value: Any, gaps: Gaps, dims: Mapping[str, Any]) -> int:
    """Return what `number` does as a whole number from 0 up, or raise ExpressionError."""
    text = str(value)
    found = expressions.as_integer(number(value, gaps, dims), text)
    if found < 0:
        raise ExpressionError(f"`{text}` is {found}, and counts from 0", 0, len(text), code="E405")
    return found


@lru_cache(maxsize=4096)
def template(text: str, ours: bool = False) -> Template:
    """Return the template that a name is; raise ExpressionError (its place in the text) where it is none.

    `ours` names take counters alone: a sum would not say which copies are meant.
    """
    if not text or len(text) > LONGEST:
        raise ExpressionError(f"a name has from 1 to {LONGEST} characters", 0, len(text))
    pieces: list[Piece] = []
    at = 0
    for gap in _GAP.finditer(text):
        if gap.start() > at:
            pieces.append(text[at : gap.start()])
        pieces.append(_piece(gap, ours))
        at = gap.end()
    if at < len(text):
        pieces.append(text[at:])
    if pieces.count(STAR) > 1:
        raise ExpressionError("a name has one `*` at most", text.rindex("*"), text.rindex("*") + 1)
    return Template(text, tuple(pieces))


def _piece(gap: re.Match[str], ours: bool) -> Piece:
    if gap["star"]:
        return STAR
    if gap["stray"]:
        help = "a counter is `$i`, or `$(i + 1)`"
        raise ExpressionError("`$` stands before no counter", gap.start(), gap.end(), help)
    if gap["name"]:
        return expressions.parse(gap["name"])
    if ours:
        help = "our names say which copies there are: put the sum into the checkpoint's name"
        raise ExpressionError("a sum cannot stand in a name of ours", gap.start(), gap.end(), help)
    try:
        return expressions.parse(gap["sum"])
    except ExpressionError as error:
        at = gap.start("sum")
        raise ExpressionError(error.message, at + error.start, at + error.end, error.help) from None
