"""The engines: a right picture without a `dot` or a font on the machine, and a sentence where none can be drawn."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image  # pyright: ignore[reportMissingImports]

from tests.diagram.figures import FIGURES
from tfdsl.diagram import engines
from tfdsl.diagram.dot import write
from tfdsl.diagram.engines import EngineError, render

DOT = write(FIGURES["gpt2"])


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_the_embedded_engine_draws_each_format(format: str) -> None:
    drawn = render(DOT, format)
    assert drawn.engine == "embedded Graphviz"
    assert drawn.data == render(DOT, format).data or format == "pdf"  # a PDF holds its date
    assert len(drawn.data) > 10_000


def test_every_text_keeps_its_length_in_any_font() -> None:
    texts = re.findall(r"<text ([^>]*)>([^<]*)</text>", render(DOT, "svg").data.decode())
    lengths = {words: re.findall(r'textLength="([^"]*)"', attributes) for attributes, words in texts}
    assert len(texts) > 30
    assert [words for words, length in lengths.items() if len(length) != 1] == ["+"]
    assert lengths["LayerNorm"] == ["58.1"]


def test_a_png_holds_the_colours_and_words_of_the_figure() -> None:
    image = Image.open(io.BytesIO(render(DOT, "png").data)).convert("RGB")
    colours = {colour for _, colour in image.getcolors(1 << 24) or ()}
    assert {(0xF8, 0xBD, 0x8F), (0xB5, 0xDD, 0xF9), (0xFD, 0xFA, 0xAB), (0xD8, 0xBE, 0xF7)} <= colours
    assert 700 < image.width < 1100
    assert image.height > 1600


def test_a_bare_machine_draws_the_same_picture(tmp_path: Path) -> None:
    """No `dot` on the path, no font but the bundled ones, no home: the pixels stay."""
    script = (
        "import sys, pathlib; from tfdsl.diagram.engines import render\n"
        "drawn = render(pathlib.Path(sys.argv[1]).read_text(encoding='utf-8'), 'png')\n"
        "pathlib.Path(sys.argv[2]).write_bytes(drawn.data); print(drawn.engine)"
    )
    source, target = tmp_path / "x.dot", tmp_path / "x.png"
    source.write_text(DOT, encoding="utf-8")
    root = str(Path(engines.__file__).parents[2])
    bare = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": root, "FONTCONFIG_FILE": "/nowhere", "FONTCONFIG_PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", script, str(source), str(target)], env=bare, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "embedded Graphviz"
    assert target.read_bytes() == render(DOT, "png").data


def test_what_is_not_dot_is_a_sentence() -> None:
    with pytest.raises(EngineError, match="no engine could draw the figure .*embedded Graphviz: .*`-o figure.dot`"):
        render("digraph {", "svg")


def test_an_unknown_format_is_a_sentence() -> None:
    with pytest.raises(EngineError, match="the formats are svg, png and pdf"):
        render(DOT, "gif")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by signal 11"),
        ("", "it wrote nothing"),
        ("print('<?xml')", "not a whole SVG"),
        ("import sys; sys.exit('out of ink')", "out of ink"),
        ("import time; time.sleep(9)", "more than 1 seconds"),
    ],
)
def test_a_failing_child_is_a_sentence(monkeypatch: pytest.MonkeyPatch, program: str, reason: str) -> None:
    def commands(format: str) -> list[tuple[str, list[str]]]:
        return [("stub", [sys.executable, "-c", program])]

    monkeypatch.setattr(engines, "_commands", commands)
    monkeypatch.setattr(engines, "SECONDS", 1)
    with pytest.raises(EngineError, match=reason):
        render(DOT, "svg")


def test_the_child_is_bounded() -> None:
    painter = Path(engines.__file__).with_name("painter.py")
    program = (
        f"import runpy, json; limit = runpy.run_path({str(painter)!r})['limit']; limit(1 << 30, 5)\n"
        "import resource\n"
        "print(json.dumps([resource.getrlimit(what)[0] for what in (resource.RLIMIT_AS, resource.RLIMIT_CPU)]))"
    )
    if os.name == "nt":
        pytest.skip("no such limits there")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [1 << 30, 5]
