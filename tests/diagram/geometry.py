"""What a rendered SVG holds, read from its text: cards, words with their places in the bundled font, wires, frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from tfdsl.diagram import fonts

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    box: Box
    owner: str  # the id of the node, wire or frame that it belongs to


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes are (left, top, right, bottom), in points, y downwards."""

    nodes: dict[str, Box]
    frames: dict[str, Box]
    wires: dict[str, list[list[tuple[float, float]]]]  # each path's straight pieces
    kinds: dict[str, str]
    words: list[Word]
    page: Box


def read(svg: bytes) -> Picture:
    """Return what an SVG of Graphviz holds."""
    graph = ElementTree.fromstring(svg).find(f"{SVG}g")
    assert graph is not None
    picture = Picture({}, {}, {}, {}, [], _box(next(graph.iter(f"{SVG}polygon"))))
    for group in graph.findall(f"{SVG}g"):
        name, kind = group.get("id", ""), group.get("class", "")
        picture.kinds[name] = kind
        picture.words.extend(Word(text, box, name) for text, box in _words(group))
        shapes = [
            _box(shape)
            for shape in group.iter()
            if shape.tag in (f"{SVG}path", f"{SVG}polygon", f"{SVG}ellipse") and shape.get("stroke") != "transparent"
        ]
        if kind.startswith("cluster"):
            picture.frames[name] = shapes[0]
        elif kind.startswith("edge"):
            picture.wires[name] = [_corners(path.get("d", "")) for path in group.iter(f"{SVG}path")]
        elif shapes:
            picture.nodes[name] = shapes[0]
    return picture


def _words(group: ElementTree.Element) -> Iterator[tuple[str, Box]]:
    for text in group.iter(f"{SVG}text"):
        words, size = text.text or "", float(text.get("font-size", "0"))
        wide = fonts.width(words, size, bold=text.get("font-weight") == "bold")
        x, y = float(text.get("x", "0")), float(text.get("y", "0"))
        left = x - wide / 2 if text.get("text-anchor") == "middle" else x
        yield words, (left, y - 0.73 * size, left + wide, y + 0.21 * size)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def _corners(path: str) -> list[tuple[float, float]]:
    """Return the ends of a path's pieces, and its control points: all of them on one line where a piece is straight."""
    numbers = _numbers(path)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _box(shape: ElementTree.Element) -> Box:
    if shape.tag == f"{SVG}ellipse":
        x, y, rx, ry = (float(shape.get(name, "0")) for name in ("cx", "cy", "rx", "ry"))
        return x - rx, y - ry, x + rx, y + ry
    corners = _corners(shape.get("points") or shape.get("d", ""))
    across, down = [x for x, _ in corners], [y for _, y in corners]
    return min(across), min(down), max(across), max(down)


def within(inner: Box, outer: Box, slack: float = 0.6) -> bool:
    """Return whether one box lies inside another, give or take `slack` points."""
    return (
        inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )


def overlap(one: Box, two: Box, slack: float = 0.5) -> bool:
    """Return whether two boxes share more than a rim of `slack` points."""
    return one[0] < two[2] - slack and two[0] < one[2] - slack and one[1] < two[3] - slack and two[1] < one[3] - slack
