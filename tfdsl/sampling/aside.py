"""aside: what of several texts or images cannot be read, told one by one, while the others are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tfdsl.diagnostics import Diagnostic

Faults = Mapping[int, Diagnostic]
"""What is wrong with those that cannot be read, by their place among all."""

TOLD = 5  # that are told one by one
SHOWN = 60  # characters of a text that are shown


def names(many: int, what: str = "text", numbers: Sequence[int] | None = None) -> list[str]:
    """Return what so many texts are called where they are told of, by `numbers` that count from 1."""
    if numbers is None and many == 1:
        return [f"the {what}"]
    return [f"{what} {number:,}" for number in numbers or range(1, many + 1)]


def short(text: str, most: int = SHOWN) -> str:
    """Return a text in one line, cut where it is longer than that."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1] + "…"


def told(faults: Faults) -> list[Diagnostic]:
    """Return what is wrong with the first few, and how many more cannot be read."""
    found = [faults[place] for place in sorted(faults)]
    if len(found) > TOLD + 1:
        more = f"{len(found) - TOLD:,} more cannot be read"
        found = [*found[:TOLD], replace(found[TOLD], message=more, label="", help="")]
    return found
