"""DOT to a picture: the embedded Graphviz in a child process, a system `dot` where that fails."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from tfdsl import disk
from tfdsl.diagram import fonts

FORMATS = ("svg", "png", "pdf")

DPI = 192  # of a PNG: twice a screen's
SECONDS = 60
MEMORY = 2 << 30
TEXT = re.compile(r'(<text [^>]*font-size="([\d.]+)"[^>]*)>([^<]*)</text>')
BEGINS: Mapping[str, bytes] = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-"}
ENDS: Mapping[str, bytes] = {"svg": b"</svg>", "png": b"IEND\xaeB`\x82", "pdf": b"%%EOF"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A picture, and what drew it."""

    data: bytes
    engine: str


class EngineError(Exception):
    """No engine drew the picture: its text is a sentence for a person."""


def render(dot: str, format: str) -> Rendered:
    """Return the picture of a DOT text as SVG, PNG (192 dots an inch) or PDF.

    The embedded Graphviz (the `pygraphviz` wheel) draws in a child process, with the bundled Liberation Sans alone; a
    system's `dot` draws where that is missing or fails. Raises EngineError, with each engine's reason, where none can.
    """
    if format not in FORMATS:
        raise EngineError(f"cannot draw {format!r}: the formats are svg, png and pdf (and dot, which needs no engine)")
    reasons: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tfdsl-") as folder:
        environment = _environment(Path(folder))
        for engine, command in _commands(format):
            data, reason = _run(command, dot.encode(), environment)
            reason = reason or _broken(data, format)
            if not reason:
                return Rendered(_fitted(data) if format == "svg" else data, engine)
            reasons.append(f"{engine}: {reason}")
    raise EngineError("no engine could draw the figure (" + "; ".join(reasons) + "); `-o figure.dot` needs none")


def _commands(format: str) -> list[tuple[str, Sequence[str]]]:
    painter = Path(__file__).with_name("painter.py")
    embedded = [sys.executable, "-P", str(painter), format, str(DPI), str(MEMORY), str(SECONDS)]
    system = ["dot", f"-T{format}", *([f"-Gdpi={DPI}"] if format == "png" else [])]
    return [("embedded Graphviz", embedded), ("system dot", system)]


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of an engine, in which the bundled fonts are the only ones."""
    config = folder / "fonts.conf"
    disk.put(
        config,
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">\n<fontconfig>\n'
        f"  <dir>{escape(str(fonts.FOLDER))}</dir>\n  <cachedir>{escape(str(folder))}</cachedir>\n"
        '  <match target="pattern"><edit name="family" mode="assign" binding="strong">'
        "<string>Liberation Sans</string></edit></match>\n</fontconfig>\n",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FONTCONFIG", "GV", "PANGO"))}
    return kept | {"FONTCONFIG_FILE": str(config), "FONTCONFIG_PATH": str(folder), "LC_ALL": "C.UTF-8"}


def _run(command: Sequence[str], dot: bytes, environment: Mapping[str, str]) -> tuple[bytes, str]:
    """Return what a command wrote, and the reason why that is nothing, in words."""
    try:
        child = subprocess.run(command, input=dot, capture_output=True, env=environment, timeout=SECONDS, check=False)
    except FileNotFoundError:
        return b"", "not installed"
    except subprocess.TimeoutExpired:
        return b"", f"it took more than {SECONDS} seconds"
    except OSError as error:
        return b"", f"it could not be started ({error.strerror})"
    if child.returncode == 0:
        return child.stdout, ""
    said = child.stderr.decode(errors="replace").strip().splitlines()
    if child.returncode < 0:
        return b"", f"it was killed by signal {-child.returncode}"
    if said and "No module named 'pygraphviz'" in said[-1]:
        return b"", "pygraphviz is not installed"
    return b"", said[-1][:200] if said else f"it ended with code {child.returncode}"


def _broken(data: bytes, format: str) -> str:
    if not data:
        return "it wrote nothing"
    if not data.startswith(BEGINS[format]) or ENDS[format] not in data[-64:]:
        return f"what it wrote is not a whole {format.upper()}"
    return ""


def _fitted(svg: bytes) -> bytes:
    """Return the SVG with each text's length set: it then stays in its box whatever font the reader's browser has."""

    def fit(match: re.Match[str]) -> str:
        opening, size, words = match.groups()
        if len(words) == 1:  # the sign in a circle
            return match.group()
        long = fonts.width(html.unescape(words), float(size), bold='font-weight="bold"' in opening)
        return f'{opening} textLength="{long:.1f}" lengthAdjust="spacingAndGlyphs">{words}</text>'

    return TEXT.sub(fit, svg.decode()).encode()
