"""The colours of figures: two themes that stay apart for colour-blind readers, and that keep text readable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tfdsl.look import Family


@dataclass(frozen=True, slots=True)
class Paint:
    """How a family of nodes is painted: the fill of its card and the stroke around it, as `#rrggbb`."""

    fill: str
    stroke: str


@dataclass(frozen=True, slots=True)
class Theme:
    """Every colour: `wire` is the trunk, `lane` a residual, `memory` keys and values, `tie` shared weights."""

    name: str
    page: str
    ink: str
    muted: str
    wire: str
    lane: str
    memory: str
    tie: str
    frame: Paint
    families: Mapping[Family, Paint]


LIGHT = Theme(
    name="light",
    page="#ffffff",
    ink="#1b1f24",
    muted="#4a535d",
    wire="#3b434c",
    lane="#7a8591",
    memory="#a8580a",
    tie="#a03c8f",
    frame=Paint("#f6f7f9", "#b7c0ca"),
    families=MappingProxyType(
        {
            "embedding": Paint("#fee8ef", "#9e397d"),
            "position": Paint("#fff6f9", "#9e397d"),
            "attention": Paint("#f8bd8f", "#d07212"),
            "norm": Paint("#fdfaab", "#575018"),
            "ffn": Paint("#b5ddf9", "#5b91b5"),
            "linear": Paint("#d8bef7", "#1c2ca8"),
            "softmax": Paint("#c2d8cd", "#04582e"),
            "mask": Paint("#ecedef", "#5b6570"),
            "plain": Paint("#ffffff", "#5b6570"),
        }
    ),
)

DARK = Theme(
    name="dark",
    page="#0e1319",
    ink="#eef2f6",
    muted="#b4bfca",
    wire="#c3ccd5",
    lane="#8592a0",
    memory="#e39a68",
    tie="#dd8fca",
    frame=Paint("#171d24", "#4b5762"),
    families=MappingProxyType(
        {
            "embedding": Paint("#3b2d36", "#cc7e94"),
            "position": Paint("#251c22", "#cc7e94"),
            "attention": Paint("#663413", "#cd926f"),
            "norm": Paint("#333328", "#d8c85a"),
            "ffn": Paint("#364048", "#26aaf8"),
            "linear": Paint("#192860", "#d4cfff"),
            "softmax": Paint("#004520", "#adedc8"),
            "mask": Paint("#262c33", "#8b96a2"),
            "plain": Paint("#0e1319", "#8b96a2"),
        }
    ),
)

THEMES: Mapping[str, Theme] = MappingProxyType({theme.name: theme for theme in (LIGHT, DARK)})
