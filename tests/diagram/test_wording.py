"""Counts, shapes and settings in words, and the widths of words."""

from __future__ import annotations

from pathlib import Path

import pytest

import tfdsl
from tfdsl.diagram import fonts
from tfdsl.diagram.cards import clean, clip, wrap
from tfdsl.diagram.figure import figure
from tfdsl.diagram.plan import Line
from tfdsl.look import Box, Branch, Group, number

SPECS = Path(__file__).parents[2] / "specs"


@pytest.mark.parametrize(
    ("count", "said", "exact"),
    [
        (0, "0", "0"),
        (512, "512", "512"),
        (999, "999", "999"),
        (1536, "1.5K", "1.5K"),
        (786_432, "786K", "786.4K"),
        (999_999, "1.00M", "1M"),
        (7_087_872, "7.09M", "7.088M"),
        (38_597_376, "38.6M", "38.6M"),
        (124_439_808, "124M", "124.4M"),
        (174_597_822_464, "175B", "174.6B"),
        (1_000_000_000_000, "1.00T", "1T"),
    ],
)
def test_a_count_is_short(count: int, said: str, exact: str) -> None:
    assert (number(count), number(count, 4)) == (said, exact)


def test_widths_are_those_of_the_font() -> None:
    # The advances of Liberation Sans in 1/2048 em: T 1251, k 1024, o, e and n 1139; in bold e 1139, n 1251.
    assert fonts.width("Token", 2048) == 1251 + 1139 + 1024 + 1139 + 1139
    assert fonts.width("en", 2048, bold=True) == 1139 + 1251
    assert fonts.width("\N{CIRCLED PLUS}", 10) == 10


def test_a_text_is_cut_and_broken_to_its_room() -> None:
    line = Line("12 heads × 64 · causal · rotary")
    assert clip(line, 68).text == "12 heads × 64…"
    assert [part.text for part in wrap(line, 95)] == ["12 heads × 64 · causal", "rotary"]
    assert [part.text for part in wrap(line, 40)] == ["12 heads", "× 64", "causal"]
    assert clean("  a\tb\n\0c\N{RIGHT-TO-LEFT OVERRIDE}d\\e  ") == "a b c d/e"
    assert clean("x" * 500) == "x" * 159 + "…"


def test_a_tooltip_tells_all() -> None:
    (column,) = figure(tfdsl.check(SPECS / "gpt2.yaml")).columns
    group = next(element for element in column.body if isinstance(element, Group))
    branch = group.body[0]
    assert isinstance(branch, Branch)
    card = branch.body[1]
    assert isinstance(card, Box)
    assert card.tooltip == (
        "attention: Causal self-attention · 12 heads × 64 · causal · "
        "heads: 12, mask: causal, bias: true, dropout: 0.1 · B × T × d_model · 2,362,368 parameters"
    )
