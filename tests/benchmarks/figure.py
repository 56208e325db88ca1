"""figure: costs over lengths as an SVG: a panel a quantity, both axes logarithmic, a line a method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

COLORS = ("#8a8f98", "#3b4252", "#2f6fb3", "#2a9d8f", "#7a5cb8", "#c2410c", "#15803d", "#b8447a", "#a16207")
WIDTH, HEIGHT, LEFT, TOP, GAP = 340, 300, 62, 36, 110
STYLE = "font-family='system-ui, sans-serif' font-size='12' fill='#444'"


def draw(lengths: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return the picture."""
    wide = LEFT + len(panels) * (WIDTH + GAP) + 20
    parts = [f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {wide} {HEIGHT + 90}' {STYLE}>"]
    parts.append(f"<rect width='{wide}' height='{HEIGHT + 90}' fill='white'/>")
    for place, (title, lines) in enumerate(panels.items()):
        parts += panel(LEFT + place * (WIDTH + GAP), title, lengths, lines)
    return "\n".join([*parts, "</svg>\n"])


def panel(left: int, title: str, lengths: Sequence[int], lines: Mapping[str, Sequence[float]]) -> list[str]:
    """Return one panel: its frame, its lines, and the name of each line beside its end."""
    costs = [max(each, 0.1) for line in lines.values() for each in line]
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))

    def x(length: int) -> float:
        return left + WIDTH * math.log2(length / lengths[0]) / math.log2(lengths[-1] / lengths[0])

    def y(cost: float) -> float:
        return TOP + HEIGHT * (high - math.log10(max(cost, 0.1))) / (high - low)

    parts = [f"<text x='{left}' y='{TOP - 14}' font-weight='600'>{title}</text>"]
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f"<line x1='{left}' x2='{left + WIDTH}' y1='{at:.1f}' y2='{at:.1f}' stroke='#e5e7eb'/>")
        parts.append(f"<text x='{left - 6}' y='{at + 4:.1f}' text-anchor='end'>{10.0**power:,g}</text>")
    for length in lengths:
        parts.append(f"<text x='{x(length):.1f}' y='{TOP + HEIGHT + 18}' text-anchor='middle'>{length:,}</text>")
    middle = left + WIDTH / 2
    parts.append(f"<text x='{middle:.1f}' y='{TOP + HEIGHT + 38}' text-anchor='middle'>positions</text>")
    for line, color in zip(lines.values(), COLORS, strict=True):
        points = " ".join(f"{x(n):.1f},{y(cost):.1f}" for n, cost in zip(lengths, line, strict=True))
        parts.append(f"<polyline points='{points}' fill='none' stroke='{color}' stroke-width='2'/>")
    return [*parts, *names(left + WIDTH + 6, [(name, y(line[-1])) for name, line in lines.items()])]


def names(left: int, ends: Sequence[tuple[str, float]]) -> list[str]:
    """Return the names of lines beside their ends, moved apart where they would lie on each other."""
    order = sorted(range(len(ends)), key=lambda index: ends[index][1])
    parts, last = list[str](), -math.inf
    for index in order:
        last = max(ends[index][1] + 4, last + 13)
        parts.append(f"<text x='{left}' y='{last:.1f}' fill='{COLORS[index]}'>{ends[index][0]}</text>")
    return parts
