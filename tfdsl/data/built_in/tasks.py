"""Text-to-text tasks that are drawn: dates to ISO 8601, letters reversed or sorted, sums, and answers to them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping

import numpy as np

from tfdsl.data.source import Listed

Draw = np.random.Generator
Row = Mapping[str, str]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FIRST, LAST = datetime.date(1900, 1, 1).toordinal(), datetime.date(2099, 12, 31).toordinal()
MANY = 10_000


def dates(size: int | None, seed: int) -> Listed:
    """Return dates of 1900 to 2099 as people write them (`source`), and in ISO 8601 (`target`)."""
    return _drawn("dates", ("source", "target"), size, seed, _date)


def reverse(size: int | None, seed: int) -> Listed:
    """Return 3 to 12 letters (`source`), and the same from the last to the first (`target`)."""
    return _drawn("reverse", ("source", "target"), size, seed, lambda draw: _letters(draw, lambda each: each[::-1]))


def sort(size: int | None, seed: int) -> Listed:
    """Return 3 to 12 letters (`source`), and the same in the order of the alphabet (`target`)."""
    return _drawn(
        "sort", ("source", "target"), size, seed, lambda draw: _letters(draw, lambda each: "".join(sorted(each)))
    )


def addition(size: int | None, seed: int) -> Listed:
    """Return two numbers of one to three digits (`source`: `57+380`), and their sum (`target`)."""

    def one(draw: Draw) -> Row:
        a, b = _pair(draw)
        return {"source": f"{a}+{b}", "target": str(a + b)}

    return _drawn("addition", ("source", "target"), size, seed, one)


def answers(size: int | None, seed: int) -> Listed:
    """Return questions for a sum (`prompt`: `What is 57+380? `), and the `answer`."""

    def one(draw: Draw) -> Row:
        a, b = _pair(draw)
        return {"prompt": f"What is {a}+{b}? ", "answer": str(a + b)}

    return _drawn("answers", ("prompt", "answer"), size, seed, one)


def preferences(size: int | None, seed: int) -> Listed:
    """Return questions for a sum (`prompt`), the right answer (`chosen`), and one with a wrong digit (`rejected`)."""

    def one(draw: Draw) -> Row:
        a, b = _pair(draw)
        right = str(a + b)
        place, shift = int(draw.integers(len(right))), int(draw.integers(1, 10))
        low = 1 if place == 0 and len(right) > 1 else 0  # no leading zero
        digit = low + (int(right[place]) - low + (shift - 1) % (9 - low) + 1) % (10 - low)
        wrong = right[:place] + str(digit) + right[place + 1 :]
        return {"prompt": f"What is {a}+{b}? ", "chosen": right, "rejected": wrong}

    return _drawn("preferences", ("prompt", "chosen", "rejected"), size, seed, one)


def _drawn(name: str, columns: tuple[str, ...], size: int | None, seed: int, one: Callable[[Draw], Row]) -> Listed:
    """Return `size` examples whose first columns all differ; fewer where there are not so many."""
    draw = np.random.default_rng(seed)
    wanted = MANY if size is None else size
    rows: dict[str, Row] = {}
    tries = 0
    while len(rows) < wanted and tries < 20 * wanted + 1000:
        row = one(draw)
        rows.setdefault(row[columns[0]], row)
        tries += 1
    return Listed(columns, tuple(rows.values()), name)


def _date(draw: Draw) -> Row:
    day = datetime.date.fromordinal(int(draw.integers(FIRST, LAST + 1)))
    forms = _forms(day)
    return {"source": forms[int(draw.integers(len(forms)))], "target": day.isoformat()}


def _forms(day: datetime.date) -> tuple[str, ...]:
    """Return the ways to write a date; each can be told from all others."""
    year, number, month, name = day.year, day.day, MONTHS[day.month - 1], DAYS[day.weekday()]
    tail = "th" if 11 <= number <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return (
        f"{month} {number}, {year}",
        f"{number} {month} {year}",
        f"{number:02} {month[:3]} {year}",
        f"{month[:3]} {number:02}, {year}",
        f"{name}, {number} {month} {year}",
        f"{name[:3]} {number} {month[:3]} {year}",
        f"the {number}{tail} of {month}, {year}",
        f"{month} {number}{tail}, {year}",
        f"{month.upper()} {number} {year}",
        f"{day.month:02}/{number:02}/{year}",  # a slash: the month first, as in the United States
        f"{number}.{day.month}.{year}",  # a point: the day first, as in Germany
        f"{year}, {month.lower()} {number}",
    )


def _letters(draw: Draw, become: Callable[[str], str]) -> Row:
    text = "".join(LETTERS[at] for at in draw.integers(len(LETTERS), size=int(draw.integers(3, 13))))
    return {"source": text, "target": become(text)}


def _pair(draw: Draw) -> tuple[int, int]:
    """Draw two numbers, their lengths first, so that short ones are not rare."""
    a, b = (int(draw.integers(10 ** int(draw.integers(1, 4)))) for _ in range(2))
    return a, b
