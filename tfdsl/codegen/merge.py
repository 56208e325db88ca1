"""merge: classes that differ only in numbers become one, which takes the numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

NUMBER = re.compile(r"(?<![\w.\"])\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w\"])")
Lines = Sequence[str]


def merge(made: Sequence[Lines], bindings: Sequence[Mapping[str, object]]) -> tuple[list[str], list[str]] | None:
    """Return the common lines of several constructors with names for the numbers in which they differ, and the names.

    The names are those of the blocks' parameters; None where a number differs that no parameter is.
    """
    first, *others = made
    if any([NUMBER.sub("#", line) for line in each] != [NUMBER.sub("#", line) for line in first] for each in others):
        return None
    numbers = [[NUMBER.findall(line) for line in each] for each in made]
    used: list[str] = []
    lines: list[str] = []
    for row, line in enumerate(first):
        texts: list[str] = []
        for column in range(len(numbers[0][row])):
            found = [each[row][column] for each in numbers]
            name = found[0] if len(set(found)) == 1 else _name(found, bindings)
            if name is None:
                return None
            texts.append(name)
            used += [name] if name in bindings[0] and name not in used else []
        parts = iter(texts)
        lines.append(NUMBER.sub(lambda _, parts=parts: next(parts), line))
    return lines, used


def _name(found: Sequence[str], bindings: Sequence[Mapping[str, object]]) -> str | None:
    """Return the parameter whose values these are."""
    names = bindings[0]
    return next((name for name in names if [repr(each.get(name)) for each in bindings] == list(found)), None)
