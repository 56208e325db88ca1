"""Sets of examples that every machine has or makes: a name a set, each a function of its size and a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tfdsl.data.built_in import digits, library, passages, tasks, tones
from tfdsl.data.source import Source

SETS: Mapping[str, Callable[[int | None, int], Source]] = {
    "stdlib": library.text,
    "digits": digits.digits,
    "dates": tasks.dates,
    "reverse": tasks.reverse,
    "sort": tasks.sort,
    "addition": tasks.addition,
    "answers": tasks.answers,
    "preferences": tasks.preferences,
    "modules": library.modules,
    "docstrings": library.docstrings,
    "spans": passages.spans,
    "captions": digits.captions,
    "tones": tones.tones,
}
FIXED = frozenset({"stdlib", "digits"})  # nothing of them is drawn, so no seed changes them
"""The sets that are as they are."""
