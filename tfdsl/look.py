"""What a figure is made of: the plain vocabulary in which a node says how it looks, before any layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["embedding", "position", "attention", "norm", "ffn", "linear", "softmax", "mask", "plain"]
Form = Literal["box", "beside", "branch", "fork", "group", "inline", "arch"]
"""How a node stands in a figure: as an element below; `inline` is a block that is drawn as if written in place."""


@dataclass(frozen=True, slots=True)
class Box:
    """One node on the trunk: `shape` is what leaves it (`B × T × D`), `corner` its parameters (`2.36M`, `tied`)."""

    id: str
    family: Family
    title: str
    facts: str = ""
    corner: str = ""
    shape: str = ""
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Beside:
    """A source beside the trunk that a `+` joins to it, as a position table is."""

    id: str
    box: Box
    symbol: str = "+"
    feed: str = ""  # what it reads, in words: `positions 0 … T−1`
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """A residual: a lane around `body`, joined to it by a `+`. `facts` say what becomes of the body first (`× 0.5`)."""

    id: str
    body: tuple[Element, ...]
    symbol: str = "+"
    facts: str = ""
    shape: str = ""
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Fork:
    """Several pipes over the same value (or each from a source of its own), joined by `symbol`: `+`, `×`, or a word.

    `labels` stand on the wires that leave the pipes. With the symbol `or`, each copy of a block has one of the pipes.
    """

    id: str
    pipes: tuple[tuple[Element, ...], ...]
    symbol: str = "+"
    shape: str = ""
    tooltip: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A frame around a stretch of the trunk: a block, its copies (`× 12` over `layer · 7.09M each`), a node opened."""

    id: str
    title: str
    facts: str
    body: tuple[Element, ...]
    tooltip: str = ""
    opened: bool = False  # a node that is shown with what it does within


@dataclass(frozen=True, slots=True)
class Source:
    """Where a pipe begins: an input in bare text (`tokens`, shape `B × T`), or, with `of`, another element's value."""

    id: str
    title: str
    shape: str = ""
    facts: str = ""
    of: str = ""


Element = Box | Beside | Branch | Fork | Group | Source


@dataclass(frozen=True, slots=True)
class Lane:
    """A connection that leaves the trunk: keys and values from another stream, another value, or a tied weight."""

    kind: Literal["memory", "read", "tie"]
    tail: str
    head: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One stream: its elements bottom to top, and its named results in bare text at the top."""

    name: str
    body: tuple[Element, ...]
    results: tuple[tuple[str, str, str], ...] = ()  # (id of the element that makes it, name, shape)


@dataclass(frozen=True, slots=True)
class Figure:
    """A whole figure: title lines, the symbols of the shapes (`T`, `target length`), columns and lanes."""

    title: str
    subtitle: str
    symbols: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    lanes: tuple[Lane, ...] = ()
    legend: bool = True


def number(count: int, digits: int = 3) -> str:
    """Return a count as a figure says it: `512`, `1.5K`, `38.6M`, `7.09B`.

    >>> number(1536), number(38597376), number(124439808, 4)
    ('1.5K', '38.6M', '124.4M')
    """
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if round(count / size, 3) >= 1:
            value = count / size
            places = max(0, digits - len(str(int(value))))
            said = f"{value:.{min(1, places) if unit == 'K' else places}f}"
            return f"{said.rstrip('0').rstrip('.') if digits > 3 and places else said}{unit}"
    return str(count)
