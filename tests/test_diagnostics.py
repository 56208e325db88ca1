"""Diagnostics: the whole rendered text, JSON, SARIF, edits, and good guesses."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfdsl.diagnostics import Diagnostic, Edit, Note, Span, collect, suggest
from tfdsl.report import apply_edits, render, summary, to_json, to_sarif


def at(line: int, column: int, end: int, end_line: int | None = None, file: str = "t.yaml") -> Span:
    return Span(file, line, column, end_line or line, end)


TINY = "\n".join(["x"] * 3 + ["dims: {vocab: 10}"] + ["x"] * 9 + ["    - residual: [norm, linear: 512]"]) + "\n"


def test_the_page_of_one_error() -> None:
    found = Diagnostic(
        "T203",
        "residual `residual_2` adds [B, T, 768] and [B, T, 512]",
        at(14, 17, 36),
        "this branch ends at [B, T, 512]",
        (Note("the value it is added to was made here, 768 wide", at(4, 8, 13)),),
        "end the branch with `linear: d_model`",
        context=("in 12 copies of block `layer`",),
    )
    assert render([found], {"t.yaml": TINY}) == (
        """\
error[T203]: residual `residual_2` adds [B, T, 768] and [B, T, 512]
  --> t.yaml:14:17
   |
14 |     - residual: [norm, linear: 512]
   |                 ^^^^^^^^^^^^^^^^^^^ this branch ends at [B, T, 512]
note: the value it is added to was made here, 768 wide
  --> t.yaml:4:8
help: end the branch with `linear: d_model`
      in 12 copies of block `layer`
"""
    )


def test_several_lines_and_a_sum() -> None:
    text = "a:\n  - b\n  - c\nd: 1\n" + "e:\n" + "  - f\n" * 9
    found = [
        Diagnostic("W501", "unused", at(4, 1, 2)),
        Diagnostic("D101", "wide", at(2, 3, 6, end_line=3), "all of it"),
        Diagnostic("D102", "tall", at(6, 3, 6, end_line=14)),
        Diagnostic("I601", "no place"),
    ]
    assert render(found, {"t.yaml": text}) == (
        """\
note[I601]: no place

error[D101]: wide
 --> t.yaml:2:3
  |
2 | /   - b
3 | |   - c
  | |_____^ all of it

warning[W501]: unused
 --> t.yaml:4:1
  |
4 | d: 1
  | ^

error[D102]: tall
  --> t.yaml:6:3
   |
 6 | /   - f
 7 | |   - f
 8 | |   - f
... |
13 | |   - f
14 | |   - f
   | |_____^

2 errors, 1 warning, 1 note
"""
    )


@pytest.mark.parametrize(
    ("line", "column", "end", "shown", "carets"),
    [
        ("\ta: b\t c", 2, 3, "    a: b     c", "    ^"),
        ("漢字: 漢 x", 5, 6, "漢字: 漢 x", "      ^^"),
        ("e\u0301e\u0301 x", 6, 7, "e\u0301e\u0301 x", "   ^"),
        ("a\x1b[31mb", 7, 8, "a\ufffd[31mb", "      ^"),
        ("a\u202eb", 3, 4, "a\ufffdb", "  ^"),
        ("abc", 4, 4, "abc", "   ^"),
        ("", 1, 1, "", "^"),
        ("x" * 300, 290, 293, "…" + "x" * 41, " " * 31 + "^^^"),
        ("x" * 300, 5, 7, "x" * 110 + "…", "    ^^"),
        ("x" * 300, 5, 290, "x" * 110 + "…", "    " + "^" * 106),
        ("y" * 100_000 + "here", 100_001, 100_005, "…" + "y" * 30 + "here", " " * 31 + "^^^^"),
    ],
)
def test_carets_stand_under_their_place(line: str, column: int, end: int, shown: str, carets: str) -> None:
    page = render([Diagnostic("Y039", "m", at(1, column, end))], {"t.yaml": line}).split("\n")
    assert page[3:5] == [f"1 | {shown}".rstrip() if not shown else f"1 | {shown}", f"  | {carets}"]


def test_a_file_that_is_not_there_shows_its_place_alone() -> None:
    found = [Diagnostic("Y001", "cannot\nread\x1b", at(1, 1, 1, file="no\x07.yaml"))]
    assert render(found, {}) == "error[Y001]: cannot read\ufffd\n --> no\ufffd.yaml:1:1\n"


def test_colours_change_nothing_but_colours() -> None:
    found = [Diagnostic("W501", "m", at(4, 1, 5), "l", (Note("n", at(1, 1, 2)),), "h")]
    coloured = render(found, {"t.yaml": TINY}, color=True)
    import re

    assert "\x1b[1;33m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(found, {"t.yaml": TINY})


ANY = st.text(max_size=30)


@settings(max_examples=300, deadline=None)
@given(ANY, ANY, ANY, *[st.integers(1, 12)] * 4)
def test_any_page_is_safe_for_a_terminal(text: str, message: str, label: str, a: int, b: int, c: int, d: int) -> None:
    span = Span("f", min(a, c), b, max(a, c), d)
    for page in (render([Diagnostic("Y039", message, span, label)], {"f": text}),):
        assert all(unicodedata.category(x) not in ("Cc", "Cs") for x in page if x != "\n")
    json.loads(to_json([Diagnostic("Y039", message, span, label)]))
    to_sarif([Diagnostic("Y039", message, span, label)]).encode()


def test_the_same_cause_is_told_once() -> None:
    found = [
        Diagnostic("T203", "adds 768 and 512", at(3, 1, 2), context=("in copy 1",)),
        Diagnostic("D105", "`heads` is missing", at(2, 1, 2)),
        Diagnostic("T203", "adds 768 and 256", at(3, 1, 2), context=("in copy 2", "in copy 1")),
        Diagnostic("D105", "`width` is missing", at(2, 1, 2)),
        Diagnostic("D105", "`width` is missing", at(2, 1, 2)),
    ]
    assert [(each.message, each.context) for each in collect(found)] == [
        ("`heads` is missing", ()),
        ("`width` is missing", ()),
        ("adds 768 and 512", ("in copy 1", "in copy 2")),
    ]
    assert summary(collect(found)) == "3 errors in t.yaml"


def test_json_and_sarif_carry_the_same_facts() -> None:
    edit = Edit(at(4, 1, 1), '"')
    found = [
        Diagnostic(
            "Y022", "m \ud800", at(4, 1, 5), "l", (Note("n", at(1, 1, 2)), Note("no place")), "h", (edit,), ("c",)
        )
    ]
    data = json.loads(to_json(found))
    span = {"file": "t.yaml", "line": 4, "column": 1, "end_line": 4, "end_column": 5}
    (one,) = data["diagnostics"]
    assert (data["errors"], data["warnings"], data["notes"]) == (1, 0, 0)
    assert {key: one[key] for key in ("severity", "code", "message", "label", "help", "context", "span")} == {
        "severity": "error",
        "code": "Y022",
        "message": "m ?",
        "label": "l",
        "help": "h",
        "context": ["c"],
        "span": span,
    }
    (run,) = json.loads(to_sarif(found))["runs"]
    (result,) = run["results"]
    region = {"startLine": 4, "startColumn": 1, "endLine": 4, "endColumn": 5}
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "Y022"
    assert (result["level"], result["message"]["text"]) == ("error", "m ?. l. h. c")
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "t.yaml"}, "region": region}}]
    assert [each["message"]["text"] for each in result["relatedLocations"]] == ["n"]
    (change,) = result["fixes"][0]["artifactChanges"]
    deleted = {"startLine": 4, "startColumn": 1, "endLine": 4, "endColumn": 1}
    assert change["replacements"] == [{"deletedRegion": deleted, "insertedContent": {"text": '"'}}]


def test_edits_are_made_whole_or_not_at_all() -> None:
    text = "\ufeffab cd\r\nef gh\n"
    found = [
        Diagnostic("Y001", "1", at(1, 1, 3), edits=(Edit(at(1, 1, 3), "AB"), Edit(at(2, 1, 3), "EF"))),
        Diagnostic("Y002", "2", at(2, 1, 4), edits=(Edit(at(2, 2, 4), "no"), Edit(at(1, 4, 6), "no"))),
        Diagnostic("Y003", "3", at(2, 4, 6), edits=(Edit(at(2, 4, 4), "<"), Edit(at(2, 6, 6), ">"))),
        Diagnostic("Y004", "4", at(2, 4, 6), edits=(Edit(at(2, 4, 4, file="other"), "other"),)),
    ]
    assert apply_edits(text, found, "t.yaml") == "\ufeffAB cd\r\nEF <gh>\n"
    assert apply_edits("a", [], None) == "a"


@pytest.mark.parametrize(
    ("word", "candidates", "wanted"),
    [
        ("atention", ["attention", "activation", "ffn"], "attention"),
        ("nrom", ["norm", "form", "pool"], "norm"),
        ("heads_n", ["n_heads", "n_layers"], "n_heads"),
        ("RMS", ["rms", "layer"], "rms"),
        ("d_modle", ["d_mode", "d_model"], "d_model"),
        ("dropuot", ["dropout"], "dropout"),
        ("head", ["n_heads", "heads"], "heads"),
        ("vocab", ["vocab_size", "window"], "vocab_size"),
        ("ffnn", ["ffn", "linear"], "ffn"),
        ("t", ["B", "T"], "T"),
        ("q", ["B", "T"], None),
        ("zebra", ["attention", "norm"], None),
        ("", ["a"], None),
        ("x" * 10_000, ["x" * 64, "y"], "x" * 64),
    ],
)
def test_suggest(word: str, candidates: list[str], wanted: str | None) -> None:
    assert suggest(word, candidates) == wanted
