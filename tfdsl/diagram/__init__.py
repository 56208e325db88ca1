"""Figures: a checked spec drawn as DOT, and as SVG, PNG or PDF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tfdsl import disk
from tfdsl.checking import Checked

LEVELS: Mapping[str, frozenset[str]] = MappingProxyType(
    {"block": frozenset(), "full": frozenset({"attention", "ffn"})}  # a level, and the families that it opens
)


class DrawError(ValueError):
    """A figure cannot be drawn as asked: the text is a sentence for a person."""


class Figure(str):
    """A figure as DOT text. A notebook shows it drawn."""

    __slots__ = ()

    def svg(self) -> str:
        """Return it as SVG; raises EngineError where no engine can draw."""
        from tfdsl.diagram.engines import render

        return render(self, "svg").data.decode("utf-8")

    def save(self, path: str | Path) -> None:
        """Write it to a file in the format of the ending: `.svg`, `.png`, `.pdf` or `.dot`.

        Raises DrawError for another ending, EngineError where no engine can draw, OSError where it cannot be written.
        """
        _save(self, Path(path))

    def _repr_svg_(self) -> str:
        return self.svg()


def draw(checked: Checked, theme: str = "light", level: str = "block") -> str:
    """Return the figure of a spec without errors as DOT text, in the theme `light` or `dark`.

    At the level `full`, attention and feed-forward layers are shown with what they do within.
    Raises DrawError for a theme or a level that there is not.
    """
    from tfdsl.diagram.dot import write
    from tfdsl.diagram.figure import figure
    from tfdsl.diagram.palette import THEMES

    if theme not in THEMES:
        raise DrawError(f"there is no theme `{theme}`: it is `light` or `dark`")
    if level not in LEVELS:
        raise DrawError(f"there is no level `{level}`: it is `block` or `full`")
    return write(figure(checked, LEVELS[level]), theme)


def render_file(checked: Checked, path: Path, theme: str = "light", level: str = "block") -> str:
    """Draw a spec into a file, in the format that its ending names (svg, png, pdf, dot), and return what drew it.

    Raises DrawError for another ending, EngineError where no engine can draw, OSError where the file cannot be written.
    """
    return _save(draw(checked, theme, level), path)


def _save(text: str, path: Path) -> str:
    from tfdsl.diagram.engines import FORMATS, render

    ending = path.suffix.lower().removeprefix(".")
    if ending == "dot":
        disk.write(path, text)
        return "tfdsl"
    if ending not in FORMATS:
        raise DrawError(f"cannot tell the format of `{path.name}`: name it .svg, .png, .pdf or .dot")
    drawn = render(text, ending)
    disk.write(path, drawn.data)
    return drawn.engine
