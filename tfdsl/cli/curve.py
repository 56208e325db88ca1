"""A curve in the terminal: braille dots, two by four a character."""

from __future__ import annotations

from collections.abc import Sequence

Points = Sequence[tuple[float, float]]
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # Unicode's numbering, top to bottom


def plot(points: Points, marks: Points = (), width: int = 64, height: int = 12, across: str = "step") -> str:
    """Return `points` (x, y) as dots and `marks` as `o`, with the limits of both axes beside them.

    The y axis is cut to what lies between the lowest value and the value after a twentieth of the points, so that the
    first steps do not flatten the rest.
    """
    every = [*points, *marks]
    if not every:
        return ""
    low = min(y for _, y in every)
    high = max([y for _, y in points[len(points) // 20 :]] + [y for _, y in marks])
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    tall, wide = (high - low) or 1.0, (right - left) or 1.0
    cells = [[0] * width for _ in range(height)]
    for x, y in points:
        if y > high:
            continue
        column = round((x - left) / wide * (2 * width - 1))
        row = round((high - y) / tall * (4 * height - 1))
        cells[row // 4][column // 2] |= DOTS[row % 4][column % 2]
    rows = [[chr(0x2800 + bits) if bits else " " for bits in row] for row in cells]
    for x, y in marks:
        rows[round((high - y) / tall * (height - 1))][round((x - left) / wide * (width - 1))] = "o"
    sides = [f"{high:8.3f} ┤", *["         │"] * (height - 2), f"{low:8.3f} ┤"]
    lines = [side + "".join(row).rstrip() for side, row in zip(sides, rows, strict=True)]
    end = f"{across} {right:,.0f}"
    return "\n".join([*lines, "         └" + "─" * width, f"{'':10}{left:<,.0f}{end:>{width - len(f'{left:,.0f}')}}"])
