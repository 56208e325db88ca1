"""Figures as DOT: the golden texts, and what must hold of every picture."""

from __future__ import annotations

import html
import re
from itertools import combinations
from pathlib import Path

import pytest

from tests.diagram.figures import FIGURES
from tests.diagram.geometry import overlap, read, within
from tfdsl.diagram.dot import ids, write
from tfdsl.diagram.engines import render
from tfdsl.look import Box, Branch, Column, Figure, Group, Lane, Source

GOLDEN = Path(__file__).with_name("golden")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_written_as_it_was(name: str, accept: bool) -> None:
    for theme in ("light", "dark") if name == "gpt2" else ("light",):
        path, text = GOLDEN / f"{name}_{theme}.dot", write(FIGURES[name], theme)
        if accept:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")


def faults(svg: bytes) -> list[str]:
    """Return all that is wrong in a picture: words outside of their box, skewed wires, one thing on another."""
    picture = read(svg)
    boxes = picture.nodes | picture.frames
    cards = {key: box for key, box in picture.nodes.items() if "node-dot" not in picture.kinds[key]}
    words = picture.words
    found = [
        f"{word.text} leaves {word.owner}" for word in words if not within(word.box, boxes.get(word.owner, word.box))
    ]
    found += [f"{word.text} leaves the page" for word in words if not within(word.box, picture.page)]
    loose = [word for word in words if word.owner not in cards]
    found += [f"{word.text} on {key}" for word in loose for key, box in cards.items() if overlap(word.box, box)]
    found += [f"{a.text} on {b.text}" for a, b in combinations(words, 2) if overlap(a.box, b.box)]
    found += [f"{a} on {b}" for a, b in combinations(cards, 2) if overlap(cards[a], cards[b])]
    for key, path in ((key, path) for key, paths in picture.wires.items() for path in paths):
        for (x, y), (u, v) in zip(path, path[1:], strict=False):
            piece = (min(x, u) - 0.1, min(y, v) - 0.1, max(x, u) + 0.1, max(y, v) + 0.1)
            found += [f"{key} is skewed"] if x != u and y != v else []
            found += [f"{key} through {word.text}" for word in words if overlap(piece, word.box, 0)]
            found += [f"{key} through {name}" for name, card in cards.items() if overlap(piece, card, 1)]
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_has_no_fault(name: str) -> None:
    svg = render(write(FIGURES[name]), "svg").data
    assert faults(svg) == []
    assert len(read(svg).wires) > 10


def test_a_fault_is_found() -> None:
    """The measurement can fail: a card moved, a wire bent, a word too long for its card."""
    text = write(FIGURES["gpt2"])
    place = re.findall(r'ffn1 \[pos="([^"]*)"', text)[0]
    x, y = (float(number) for number in place.split(","))
    moved = text.replace(f'ffn1 [pos="{place}"', f'ffn1 [pos="{x + 9},{y + 20}"')
    assert any(" on n-" in fault for fault in faults(render(moved, "svg").data))
    wire = re.findall(r'norm1 -> attention1 \[[^\]]*pos="e,([^ ]*) ', text)[0]
    bent = text.replace(f'pos="e,{wire} ', f'pos="e,{wire} 3', 1)
    assert any("is skewed" in fault for fault in faults(render(bent, "svg").data))
    long = text.replace("Feed-forward</b>", "Feed-forward, wide as a house and longer than that</b>", 1)
    assert faults(render(long, "svg").data) != []


def test_ids_and_classes_are_ours_and_one_each() -> None:
    svg = render(write(FIGURES["transformer"]), "svg").data.decode().replace("&#45;", "-")
    names = re.findall(r'<g id="([^"]*)" class="(?:node|edge|cluster)', svg)
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"(n-[a-z]+|e|c)-\d+", name)] == []
    assert {"flow", "residual", "memory", "tie"} <= set(re.findall(r'class="edge ([a-z]+)"', svg))
    assert {"node-attention", "node-embedding", "node-join"} <= set(re.findall(r'class="node ([a-z-]+)"', svg))
    assert set(re.findall(r'href="([^"]*)"', svg)) <= {f"#{name}" for name in names}
    assert " style=" not in svg
    assert ids(FIGURES["transformer"])["cross"] == "n-attention-3"


HOSTILE = '"]; a [URL="javascript:alert(1)"] <b>&amp;\\N\\"</td></table>>\n\r\t\0\x1b[31m‮\ud800 ' + "x" * 500


def test_a_text_cannot_break_out_of_its_place() -> None:
    box = Box(HOSTILE, "ffn", HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    group = Group(HOSTILE + "g", HOSTILE, HOSTILE, (Branch(HOSTILE + "r", (box,), HOSTILE, HOSTILE),), HOSTILE)
    column = Column(HOSTILE, (Source(HOSTILE + "s", HOSTILE, HOSTILE, HOSTILE), group), ((HOSTILE, HOSTILE, HOSTILE),))
    lanes = (Lane("tie", HOSTILE, HOSTILE, HOSTILE), Lane("memory", HOSTILE + "s", HOSTILE, HOSTILE))
    text = write(Figure(HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),), (column,), lanes))
    svg = render(text, "svg").data.decode().replace("&#45;", "-")
    assert set(re.findall(r'href="([^"]*)"', svg)) == {"#n-ffn-1"}
    assert len(svg) < 60_000
    texts = [html.unescape(text) for text in re.findall(r">([^<]*)</text>", svg)]
    assert HOSTILE.split("<", maxsplit=1)[0].strip() in " ".join(texts)
    assert all(text.isprintable() for text in texts)
    tooltips = [html.unescape(text) for text in re.findall(r'xlink:title="([^"]+)"', svg)]
    assert sum(tooltip.startswith('"]; a [URL="javascript:alert(1)"] <b>&amp;/N/"') for tooltip in tooltips) >= 3


def test_two_elements_of_one_id_are_refused() -> None:
    column = Column("model", (Box("a", "norm", "Norm"), Box("a", "norm", "Norm")))
    with pytest.raises(ValueError, match="two elements of the figure have the id 'a'"):
        write(Figure("twice", "", (), (column,)))


def test_an_empty_figure_is_a_figure() -> None:
    assert render(write(Figure("", "", (), ())), "svg").data.startswith(b"<?xml")


@pytest.mark.parametrize("layers", [2, 12, 96])
def test_the_size_stays_whatever_the_depth(layers: int) -> None:
    figure = FIGURES["gpt2"]
    svg = render(write(figure).replace("× 12", f"× {layers}"), "svg").data
    assert 18_000 < len(svg) < 70_000
