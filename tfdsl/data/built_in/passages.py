"""Passages about people, and questions whose answers stand in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfdsl.data.source import Listed

NAMES = (
    "Ada", "Boris", "Clara", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Karim", "Lena", "Marco",
    "Nadia", "Oskar", "Paula", "Quentin", "Rosa", "Samir", "Tessa", "Ulrich", "Vera", "Walter", "Yara",
)  # fmt: skip
TOWNS = (
    "Lisbon", "Oslo", "Cairo", "Lima", "Kyoto", "Quito", "Riga", "Tunis", "Perth", "Bergen", "Turin", "Porto", "Accra",
    "Hanoi", "Izmir", "La Paz", "New Delhi", "Cape Town", "San Juan", "Santa Cruz",
)  # fmt: skip
TRADES = (
    "baker", "potter", "nurse", "pilot", "tailor", "farmer", "painter", "teacher", "carpenter", "judge", "sailor",
    "bus driver", "piano tuner", "bee keeper", "tax lawyer", "clock maker",
)  # fmt: skip
BEASTS = ("cat", "dog", "horse", "parrot", "goat", "rabbit", "tortoise", "goldfish", "grey mule", "white rat")
# Of each fact: the ways to tell it, and the ways to ask for it.
FACTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "born": (
        ("{n} was born in {x}.", "{x} is where {n} was born.", "{n} comes from {x}."),
        ("Where was {n} born?", "What is the birthplace of {n}?", "In which town was {n} born?"),
    ),
    "lives": (
        ("{n} lives in {x} now.", "The home of {n} is in {x}.", "{n} has moved to {x}."),
        ("Where does {n} live?", "In which town is the home of {n}?", "Where has {n} moved to?"),
    ),
    "works": (
        ("{n} works as a {x}.", "By trade, {n} is a {x}.", "People know {n} as a good {x}."),
        ("What is the trade of {n}?", "What does {n} do for a living?", "What is {n} known as?"),
    ),
    "keeps": (
        ("{n} keeps a {x}.", "A {x} belongs to {n}.", "There is a {x} in the house of {n}."),
        ("Which animal does {n} keep?", "What belongs to {n}?", "Which animal is in the house of {n}?"),
    ),
    "since": (
        ("{n} has been married since {x}.", "In {x}, {n} got married.", "The wedding of {n} was in {x}."),
        ("When did {n} marry?", "In which year was the wedding of {n}?", "Since when has {n} been married?"),
    ),
}
VALUES: Mapping[str, Sequence[str]] = {
    "born": TOWNS,
    "lives": TOWNS,
    "works": TRADES,
    "keeps": BEASTS,
    "since": tuple(map(str, range(1950, 2025))),
}
MANY = 8000


def spans(size: int | None, seed: int) -> Listed:
    """Return a `question`, a `passage` of eight facts about four people, and where the `answer` stands in it.

    Another person in the passage has a fact of the same kind, and two kinds are towns: who reads the kind of the
    question alone, and guesses among what fits it, is right in at most half of them.
    """
    draw = np.random.default_rng(seed)
    rows = [_row(draw) for _ in range(MANY if size is None else size)]
    return Listed(("question", "passage", "answer"), rows, "spans")


def _row(draw: np.random.Generator) -> Mapping[str, Any]:
    people = draw.choice(NAMES, 4, replace=False).tolist()
    kinds = draw.choice(list(FACTS), 4, replace=False).tolist()
    told: list[tuple[str, str, str]] = []
    for place, kind in enumerate(kinds):  # each kind is told of two people
        both = (people[place], people[(place + 1 + int(draw.integers(3))) % 4])
        found = draw.choice(VALUES[kind], 2, replace=False).tolist()
        told += [(kind, name, value) for name, value in zip(both, found, strict=True)]
    asked = int(draw.integers(len(told)))
    passage, answer = "", (0, 0)
    for place in draw.permutation(len(told)).tolist():
        kind, name, value = told[place]
        before, _, after = _one(draw, FACTS[kind][0]).replace("{n}", name).partition("{x}")
        if place == asked:
            answer = (len(passage) + len(before), len(passage) + len(before) + len(value) - 1)
        passage += before + value + after + " "
    kind, name, _ = told[asked]
    return {"question": _one(draw, FACTS[kind][1]).replace("{n}", name), "passage": passage[:-1], "answer": answer}


def _one(draw: np.random.Generator, ways: Sequence[str]) -> str:
    return ways[int(draw.integers(len(ways)))]
