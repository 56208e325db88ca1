"""Liberation Sans, bundled: its files, and how wide a text stands in it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
REGULAR = FOLDER / "LiberationSans-Regular.ttf"
BOLD = FOLDER / "LiberationSans-Bold.ttf"


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide `text` stands at `size` points, in points, without kerning.

    A character that the font lacks counts as one em: an engine would take it from some other font.
    """
    advances = _advances(BOLD if bold else REGULAR)
    return size * sum(advances.get(ord(character), 1.0) for character in text)


@lru_cache(maxsize=2)
def _advances(path: Path) -> Mapping[int, float]:
    """Return each character's advance in ems, from a TrueType file's tables `head`, `hhea`, `hmtx` and `cmap`."""
    data = path.read_bytes()
    count = struct.unpack_from(">H", data, 4)[0]
    records = (struct.unpack_from(">4s4xI", data, 12 + 16 * place) for place in range(count))
    tables = {tag: offset for tag, offset in records}
    em = struct.unpack_from(">H", data, tables[b"head"] + 18)[0]
    measured = struct.unpack_from(">H", data, tables[b"hhea"] + 34)[0]
    widths = [struct.unpack_from(">H", data, tables[b"hmtx"] + 4 * glyph)[0] / em for glyph in range(measured)]
    glyphs = _glyphs(data, tables[b"cmap"])
    return {character: widths[min(glyph, measured - 1)] for character, glyph in glyphs.items()}


def _glyphs(data: bytes, cmap: int) -> Mapping[int, int]:
    """Return the glyph of each character in the basic plane: `cmap` format 4, platform 3, encoding 1."""
    count = struct.unpack_from(">H", data, cmap + 2)[0]
    records = (struct.unpack_from(">HHI", data, cmap + 4 + 8 * place) for place in range(count))
    start = cmap + next(offset for platform, encoding, offset in records if (platform, encoding) == (3, 1))
    doubled = struct.unpack_from(">H", data, start + 6)[0]
    half = doubled // 2
    ends, starts, shifts, offsets = (
        struct.unpack_from(f">{half}H", data, start + 14 + block * doubled + (2 if block else 0)) for block in range(4)
    )
    glyphs: dict[int, int] = {}
    for place, (first, last, shift, offset) in enumerate(zip(starts, ends, shifts, offsets, strict=True)):
        for character in range(first, min(last, 0xFFFE) + 1):
            glyph = character
            if offset:
                at = start + 16 + 3 * doubled + 2 * place + offset + 2 * (character - first)
                glyph = struct.unpack_from(">H", data, at)[0]
            if glyph or not offset:
                glyphs[character] = (glyph + shift) % 65536
    return glyphs
