"""Patterns of axes, `b t (h d) -> b h t d`: what they say, and the plain torch that does it (einops' notation)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from tfdsl.parts import problem

Group = tuple[str, ...]  # the names of the axes that make up one; none of them: an axis of length 1
REST = "..."
_MARKS = re.compile(r"\s+|->|\.\.\.|…|[A-Za-z_]\w*|1(?!\w)|[(),]|.", re.DOTALL)


class PatternError(ValueError):
    """What is wrong with a pattern, and from which to which character."""

    def __init__(self, message: str, start: int, end: int, help: str = "") -> None:
        super().__init__(message)
        self.start, self.end, self.help = start, end, help


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that was read: the axes of each value that it takes, and those of what it gives."""

    takes: tuple[tuple[Group, ...], ...]
    gives: tuple[Group, ...]


@cache
def parse(text: str) -> Pattern:
    """Return what a pattern says. Raises PatternError where it is none."""
    marks = [each for each in _MARKS.finditer(text) if not each[0].isspace()]
    arrows = [place for place, each in enumerate(marks) if each[0] == "->"]
    if len(arrows) != 1:
        extra = marks[arrows[1]] if arrows else None
        start, end = (extra.start(), extra.end()) if extra is not None else (0, len(text))
        raise PatternError("a pattern has one `->`", start, end, "write `b t (h d) -> b h t d`")
    before, after = marks[: arrows[0]], marks[arrows[0] + 1 :]
    commas = [place for place, each in enumerate(before) if each[0] == ","]
    edges = [-1, *commas, len(before)]
    takes = tuple(_side(before[a + 1 : b]) for a, b in zip(edges, edges[1:], strict=False))
    gives = _side(after)
    if any((REST,) in side for side in (gives,)) and not any((REST,) in side for side in takes):
        raise PatternError("`...` stands for axes that the left side does not have", marks[arrows[0]].end(), len(text))
    return Pattern(takes, gives)


def _side(marks: list[re.Match[str]]) -> tuple[Group, ...]:
    """Return the groups of one side of a pattern."""
    groups: list[Group] = []
    seen: set[str] = set()
    inside: list[str] | None = None
    for mark in marks:
        word = mark[0].replace("…", REST)
        if word == "(" and inside is None:
            inside = []
        elif word == ")" and inside is not None:
            groups.append(tuple(inside))
            inside = None
        elif word == "1":
            groups += [()] if inside is None else []
        elif word == REST or word[0].isalpha() or word[0] == "_":
            if word in seen:
                raise PatternError(f"`{word}` stands twice on one side", mark.start(), mark.end())
            if word == REST and inside is not None:
                raise PatternError("`...` stands outside of parentheses", mark.start(), mark.end())
            seen.add(word)
            if inside is None:
                groups.append((word,))
            else:
                inside.append(word)
        else:
            help = "axes are names, `1`, `...`, or several in parentheses"
            raise PatternError(f"`{word}` is nothing that a pattern has here", mark.start(), mark.end(), help)
    if inside is not None:
        raise PatternError("a parenthesis is not closed", marks[-1].start(), marks[-1].end())
    return tuple(groups)


def _sound(text: str) -> str:
    """Return a pattern that can be read, or raise with the place of what cannot."""
    try:
        parse(text)
    except PatternError as error:
        raise problem("T261", str(error), start=error.start, end=error.end, help=error.help) from None
    return text


Written = Annotated[str, AfterValidator(_sound)]
"""A pattern as a field of a node."""
AxisName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$")]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to a tensor, in this order; each axis is counted at the time of its step.

    Axes of length 1 go (`squeezed`), axes are split, some are reduced, the rest stands in a new order, new ones come
    (`repeated`, with their lengths), neighbours are merged, and axes of length 1 are put in.
    """

    squeezed: tuple[int, ...] = ()
    split: tuple[tuple[int, tuple[int, ...]], ...] = ()
    reduced: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    repeated: tuple[tuple[int, int], ...] = ()
    merged: tuple[tuple[int, int], ...] = ()
    added: tuple[int, ...] = ()

    def text(self, x: str, by: str = "") -> str:
        """Return the expression that does it to `x`; `by` is the method that reduces: `mean`."""
        for axis in reversed(self.squeezed):
            x += f".squeeze({axis})"
        for axis, sizes in reversed(self.split):
            x += f".unflatten({axis}, {sizes})"
        if self.reduced:
            x += f".{by}(dim={self.reduced[0] if len(self.reduced) == 1 else self.reduced})"
        moved = [place for place, axis in enumerate(self.order) if place != axis]
        if len(moved) == 2:
            x += f".transpose({moved[0]}, {moved[1]})"
        elif moved:
            x += f".permute({', '.join(map(str, self.order))})"
        if self.repeated:
            for axis, _ in self.repeated:
                x += f".unsqueeze({axis})"
            new = dict(self.repeated)
            places = range(len(self.order) + len(new))
            x += f".expand({', '.join(str(new.get(place, -1)) for place in places)})"
        for first, last in reversed(self.merged):
            x += f".flatten({first}, {last})"
        for axis in self.added:
            x += f".unsqueeze({axis})"
        return x
