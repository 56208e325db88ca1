"""Walks over the elements of a figure: all of them, the boxes on a trunk, the ends of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tfdsl.look import Beside, Box, Branch, Column, Element, Fork, Group


def walk(elements: Sequence[Element]) -> Iterator[Element]:
    """Yield elements and all that stands inside them."""
    for element in elements:
        yield element
        if isinstance(element, Branch | Group):
            yield from walk(element.body)
        elif isinstance(element, Fork):
            for part in element.pipes:
                yield from walk(part)
        elif isinstance(element, Beside):
            yield element.box


def rebuilt(elements: Sequence[Element], change: Callable[[Element], Element]) -> tuple[Element, ...]:
    """Return elements, and all that stands inside them, each as `change` returns it."""
    return tuple(_inner(change(element), change) for element in elements)


def _inner(element: Element, change: Callable[[Element], Element]) -> Element:
    if isinstance(element, Branch | Group):
        return replace(element, body=rebuilt(element.body, change))
    if isinstance(element, Fork):
        return replace(element, pipes=tuple(rebuilt(part, change) for part in element.pipes))
    if isinstance(element, Beside):
        box = change(element.box)
        return replace(element, box=box) if isinstance(box, Box) else element
    return element


def boxes(elements: Sequence[Element]) -> list[Box]:
    """Return the boxes on a trunk, those in its branches and frames too, those in forks and beside it not."""
    found: list[Box] = []
    for element in elements:
        if isinstance(element, Box):
            found.append(element)
        elif isinstance(element, Branch | Group):
            found += boxes(element.body)
    return found


def frames(elements: Sequence[Element]) -> Iterator[tuple[str, str]]:
    """Yield the elements at the end of frames, each with the outermost frame that it ends."""
    for element in elements:
        if isinstance(element, Group):
            inside = list(frames(element.body))
            yield from inside
            last = element.body[-1].id if element.body else ""
            yield last, element.id
            yield from ((inner, element.id) for inner, frame in inside if frame == last)
        elif isinstance(element, Branch):
            yield from frames(element.body)


def innermost(columns: Sequence[Column]) -> dict[str, str]:
    """Return each element's innermost last one: for a frame, what stands at its end."""
    found: dict[str, str] = {}
    for column in columns:
        for element in walk(column.body):
            last = element
            while isinstance(last, Group) and last.body:
                last = last.body[-1]
            found[element.id] = last.id
    return found
