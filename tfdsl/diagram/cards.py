"""Boxes, joints and bare texts as placed parts, their sizes taken from the bundled font."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from tfdsl.diagram.plan import TITLE_SIZE, Card, Dot, Joint, Line, Text
from tfdsl.look import Box

SLACK = 1.03  # what an engine may measure more than the font's advances say
PADDING = 8.0  # between a card's side and its text
NARROWEST, WIDEST = 150.0, 236.0  # a card on the trunk
RADIUS = 8.6
DOT = 3.2


def clean(text: str, most: int = 160) -> str:
    """Return text that is safe to set: one line, printable, at most `most` characters.

    A backslash becomes a slash: Graphviz would read it, in labels, tooltips and frames in three ways.
    """
    short = text[: 4 * most].replace("\\", "/")
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in short).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def clip(line: Line, room: float) -> Line:
    """Return the line, cut with `…` where it is wider than `room` points."""
    if line.width <= room:
        return line
    text = line.text
    while text and replace(line, text=text + "…").width > room:
        text = text[:-1]
    return replace(line, text=text.rstrip(" ·,") + "…")


def wrap(line: Line, room: float, most: int = 3) -> tuple[Line, ...]:
    """Return the line as at most `most` lines of `room` points, broken at ` · ` and, where need be, at spaces."""
    lines: list[Line] = []
    for piece in line.text.split(" · "):
        longer = replace(line, text=f"{lines[-1].text} · {piece}") if lines else None
        if longer and longer.width <= room:
            lines[-1] = longer
        elif piece:
            lines += _words(replace(line, text=piece), room)
    return tuple(clip(short, room) for short in lines[:most])


def _words(line: Line, room: float) -> list[Line]:
    lines: list[Line] = []
    for word in line.text.split():
        longer = replace(line, text=f"{lines[-1].text} {word}" if lines else word)
        if lines and longer.width <= room:
            lines[-1] = longer
        else:
            lines.append(replace(line, text=word))
    return lines


def needed(box: Box, narrowest: float = NARROWEST) -> float:
    """Return the width that a box's text asks for, within the widths that a card may have."""
    corner = 10 + _corner(box).width if box.corner else 0.0
    text = max(_title(box).width + corner, Line(clean(box.facts)).width)
    return min(WIDEST, max(narrowest, ceil(SLACK * text + 2 * PADDING)))


def card(box: Box, width: float) -> Card:
    """Return the card of a box, `width` points wide, about the origin."""
    room = (width - 2 * PADDING + 0.1) / SLACK
    corner = clip(_corner(box), room / 2) if box.corner else None
    title = clip(_title(box), room - (10 + corner.width if corner else 0))
    facts = clip(Line(clean(box.facts)), room) if box.facts else None
    return Card(box.id, 0, 0, width, 34.0 if facts else 25.0, box.family, title, facts, corner, _tooltip(box))


def joint(key: str, symbol: str, tooltip: str = "") -> Joint:
    """Return a circle with `+` or `×`, or a pill with a word, about the origin."""
    word = Line(clean(symbol, 24))
    width = 2 * RADIUS if len(word.text) <= 1 else word.width + 16
    return Joint(key, 0, 0, width, 2 * RADIUS, word.text, clean(tooltip, 400))


def dot(key: str, x: float = 0.0, y: float = 0.0) -> Dot:
    """Return a dot, where one value goes two ways."""
    return Dot(key, x, y, DOT, DOT)


def bare(key: str, title: str, facts: str = "", tooltip: str = "") -> Text:
    """Return an input or a result: bold text with no box, its facts under it, about the origin."""
    lines = [Line(clean(title, 60), TITLE_SIZE, bold=True, tone="ink")]
    if facts:
        lines.append(Line(clean(facts, 60)))
    return text(key, lines, tooltip)


def text(key: str, lines: Sequence[Line], tooltip: str = "") -> Text:
    """Return lines of text about the origin."""
    width, height = max(line.width for line in lines), sum(line.height for line in lines)
    return Text(key, 0, 0, width, height, tuple(lines), tooltip=clean(tooltip, 400))


def _title(box: Box) -> Line:
    return Line(clean(box.title), TITLE_SIZE, bold=True, tone="ink")


def _corner(box: Box) -> Line:
    return Line(clean(box.corner, 24))


def _tooltip(box: Box) -> str:
    facts = " · ".join(piece for piece in (box.facts, box.corner) if piece)
    return clean(box.tooltip or (f"{box.title}: {facts}" if facts else box.title), 400)
