"""The elements of a figure as a small drawing in text, top to bottom, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfdsl.look import Beside, Box, Branch, Element, Fork, Group, Source

GAP = 3  # columns between two pipes side by side


@dataclass(frozen=True, slots=True)
class Drawing:
    """Lines of text, and the column in which the trunk enters and leaves them; `fed` says that it enters."""

    lines: tuple[str, ...]
    trunk: int
    fed: bool = True

    @property
    def width(self) -> int:
        """Return the width of the longest line."""
        return max(map(len, self.lines), default=0)

    def moved(self, columns: int) -> Drawing:
        """Return the drawing, set further right."""
        return Drawing(tuple(" " * columns + line for line in self.lines), self.trunk + columns, self.fed)


def sketch(elements: Sequence[Element]) -> str:
    """Return a pipe as text, without spaces at the ends of its lines."""
    return "\n".join(line.rstrip() for line in _pipe(elements).lines)


def _pipe(elements: Sequence[Element]) -> Drawing:
    drawn = [_element(element) for element in elements]
    if not drawn:
        return Drawing(("│",), 0)
    whole = drawn[0]
    for each in drawn[1:]:
        whole = _under(whole, each)
    return whole


def _under(above: Drawing, below: Drawing) -> Drawing:
    trunk = max(above.trunk, below.trunk)
    first, second = above.moved(trunk - above.trunk), below.moved(trunk - below.trunk)
    between = (" " * trunk + "│",) if below.fed and second.lines[0][trunk : trunk + 1] not in "┴│" else ()
    return Drawing((*first.lines, *between, *second.lines), trunk, above.fed)


def _element(element: Element) -> Drawing:
    if isinstance(element, Box):
        return _text(element.title, element.facts or element.corner)
    if isinstance(element, Source):
        return _text(element.title, element.shape, fed=False)
    if isinstance(element, Beside):
        return Drawing((f"({element.symbol})── {element.box.title}  {element.box.facts}",), 1)
    if isinstance(element, Branch):
        return _fork(((), element.body), element.symbol)
    if isinstance(element, Fork):
        return _fork(element.pipes, element.symbol)
    return _pipe(element.body) if element.opened else _frame(element)


def _text(*lines: str, fed: bool = True) -> Drawing:
    said = [line for line in lines if line]
    trunk = max(len(line) for line in said) // 2
    return Drawing(tuple(" " * (trunk - len(line) // 2) + line for line in said), trunk, fed)


def _fork(pipes: Sequence[Sequence[Element]], symbol: str) -> Drawing:
    """Pipes side by side: a line from the trunk to those that read it, and one from all of them to the joint."""
    word = f" {symbol} " if len(symbol) > 1 else f"({symbol})"
    drawn: list[Drawing] = []
    edge, high = 0, 0
    for each in map(_pipe, pipes):
        last = bool(drawn) and len(drawn) == len(pipes) - 1
        room = drawn[0].trunk + len(word) + 3 - each.trunk if last else 0  # between the outermost, for the word
        drawn.append(each.moved(max(edge, room)))
        edge, high = drawn[-1].width + GAP, max(high, len(each.lines))
    trunks = [each.trunk for each in drawn]
    middle = (trunks[0] + trunks[-1]) // 2
    rows = [_row([_line(each, row) for each in drawn]) for row in range(high)]
    fed = [each.trunk for each in drawn if each.fed]
    top = [_bar([*fed, middle], fed, "┌", "┬", "┐", middle)] if fed else []
    joint = _bar([*trunks, middle], trunks, "└", "┴", "┘", None)
    start = middle - len(word) // 2
    joint = joint.ljust(start)[:start] + word + joint[start + len(word) :]
    return Drawing((*top, *rows, joint), middle, bool(fed))


def _line(drawing: Drawing, row: int) -> str:
    """Return a line of a pipe; below its end, its trunk goes on."""
    return drawing.lines[row] if row < len(drawing.lines) else " " * drawing.trunk + "│"


def _row(lines: Sequence[str]) -> str:
    whole = ""
    for line in lines:
        whole = whole.ljust(len(line))
        whole = "".join(new if new != " " else old for old, new in zip(whole, line.ljust(len(whole)), strict=True))
    return whole


def _bar(ends: Sequence[int], marks: Sequence[int], left: str, inner: str, right: str, trunk: int | None) -> str:
    """Return a line between the outermost of `ends`, with a mark at each pipe and where the trunk meets it."""
    first, last = min(ends), max(ends)
    bar = [" "] * first + ["─"] * (last - first + 1)
    for mark in marks:
        bar[mark] = left if mark == first else right if mark == last else inner
    if trunk is not None:
        bar[trunk] = "┼" if trunk in marks else "┘" if trunk == last else "└" if trunk == first else "┴"
    return "".join(bar)


def _frame(group: Group) -> Drawing:
    """Return a block in a frame, with its title in the upper side."""
    body = _pipe(group.body).moved(2)
    facts = " · ".join(piece for piece in (group.title, *group.facts.splitlines()) if piece)
    wide = max(body.width, len(facts) + 3) + 1
    top = f"┌ {facts} ".ljust(wide, "─") + "┐"
    sides = [f"│{line[1:].ljust(wide - 1)}│" for line in body.lines]
    return Drawing((top, *sides, "└" + "─" * (wide - 1) + "┘"), body.trunk, body.fed)
