"""YAML text to values: the core schema, spans, people's mistakes, and hostile bytes."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile import HOSTILE
from tfdsl import source
from tfdsl.diagnostics import Diagnostic, Span
from tfdsl.source import Mapping, Scalar, Sequence, Value

# What is wrong -> code, line, column, a part of the message.
MISTAKES = {
    "a: [b, c\nd: e\n": ("Y031", 1, 4, "this `[` is never closed"),
    "a: {b: c, d\n": ("Y031", 1, 4, "this `{` is never closed"),
    "a: [\n": ("Y031", 1, 4, "this `[` is never closed"),
    "a: {b: c]\n": ("Y031", 1, 9, "`]` closes nothing: `{` is open"),
    "a: {b: [c, d}\n": ("Y031", 1, 13, "`}` closes nothing: `[` is open"),
    "m:\n  - r: [norm, attention\n  - r: [norm, ffn]\n": ("Y031", 2, 8, "this `[` is never closed"),
    "a: {b: c\n  d: e}\n": ("Y038", 2, 3, "`,` or `}` is wanted before this"),
    "a: [1, 2]]\n": ("Y038", 1, 10, "this closes nothing"),
    "a: [1,, 2]\n": ("Y038", 1, 7, "there is nothing before this `,`"),
    "a: [b] c\n": ("Y038", 1, 8, "the value ended at the `]`"),
    'a: "b" c\n': ("Y038", 1, 8, 'the text ended at the "'),
    "a: 'it's'\n": ("Y038", 1, 8, "the text ended at the '"),
    "a:\n\tb: c\n": ("Y030", 2, 1, "a tab indents this line"),
    "\ta: b\n": ("Y030", 1, 1, "a tab indents this line"),
    "a:\n  b: 1\n\t c: 2\n": ("Y030", 3, 1, "a tab indents this line"),
    "a: 'x\nb: c\n": ("Y032", 1, 4, "this ' is never closed"),
    'a: "x\nb: c\n': ("Y032", 1, 4, 'this " is never closed'),
    "a: b: c\n": ("Y033", 1, 5, "a second `:` in one value"),
    "- [a: b: c]\n": ("Y033", 1, 8, "stands where `,` or `]` is wanted"),
    "a: {width: 3 bias: true}\n": ("Y033", 1, 18, "stands where `,` or `}` is wanted"),
    "a: 1\n b: 2\n": ("Y034", 2, 2, "indented by 1, as if it belonged to the value above"),
    "a:\n  - b\n c: d\n": ("Y034", 3, 2, "indented by 1, which fits no line above"),
    "- a\nb: c\n": ("Y034", 2, 1, "this stands among list items, and is none"),
    "a: b\n- c\n": ("Y034", 2, 1, "this list item stands among keys"),
    "a\nb: c\n": ("Y035", 1, 1, "there is no `:` after `a`"),
    "model\n  - embed: x\n": ("Y035", 1, 1, "there is no `:` after `model`"),
    "a: 1\nbcd\ne: 2\n": ("Y035", 2, 1, "there is no `:` after `bcd`"),
    "name:gpt2\nb: 1\n": ("Y023", 1, 5, "`name:gpt2` is one text, for want of a space"),
    "a: 1\nname:gpt2\nb: 1\n": ("Y023", 2, 5, "`name:gpt2` is one text, for want of a space"),
    "- embed:tok\n": ("Y023", 1, 8, "`embed:tok` is one text, for want of a space"),
    "a: {x:3}\n": ("Y023", 1, 6, "`x:3` is one text, for want of a space"),
    "m:\n  -b: 1\n": ("Y024", 2, 3, "no space after the dash of `-b`"),
    "m:\n  - a\n  -c\nd: 1\n": ("Y024", 3, 3, "no space after the dash of `-c`"),
    "a: @x\n": ("Y036", 1, 4, "no value begins with `@`"),
    "a: %x\n": ("Y036", 1, 4, "no value begins with `%`"),
    "a: *\n": ("Y036", 1, 4, "no value begins with `*`"),
    'a: "\\q"\n': ("Y037", 1, 5, "`\\q` is no escape"),
    'a: "\\xZZ"\n': ("Y037", 1, 5, "`\\x` is no escape"),
    "a: |x\n": ("Y039", 1, 4, "nothing but a comment may follow"),
    "a: - b\n": ("Y040", 1, 4, "a list cannot begin on the line of its key"),
    "a: &x {b: 1}\nc: {<<: *x}\n": ("Y010", 1, 4, "the anchor `&x`"),
    "a: *mlp\n": ("Y010", 1, 4, "the alias `*mlp`"),
    "a: !!python/object:os.system x\n": ("Y011", 1, 4, "the tag `!!python/object:os.system`"),
    "a: !<\n": ("Y011", 1, 4, "a tag is not part of the language"),
    "a: {<<: {b: 1}}\n": ("Y012", 1, 5, "the merge key `<<`"),
    "%YAML 1.2\n---\na: 1\n": ("Y013", 1, 1, "a directive is not part of the language"),
    "%FOO\n---\na\n": ("Y013", 1, 1, "a directive is not part of the language"),
    "a: 1\n---\nb: 2\n": ("Y014", 2, 1, "a spec is one document"),
    "[a]: 1\n": ("Y020", 1, 1, "this one is a list"),
    "{b: c}: 2\n": ("Y020", 1, 1, "this one is a mapping"),
    ": 3\n": ("Y020", 1, 1, "there is no key before this `:`"),
    "a: 1\nb: 3\na: 2\n": ("Y021", 3, 1, "the key `a` stands twice"),
    "a: {hidden: ceil_to(8, 64)}\n": ("Y022", 1, 13, "`ceil_to(8, 64)` must be quoted"),
    "a: [B, max(1, min(2, 3))]\n": ("Y022", 1, 8, "`max(1, min(2, 3))` must be quoted"),
    "a: 1e999\n": ("Y008", 1, 4, "larger than a float can hold"),
    "a: " + "9" * 5000 + "\n": ("Y008", 1, 4, "larger than a float can hold"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_once_in_its_place(text: str) -> None:
    _, found = source.parse(text, "f.yaml")
    code, line, column, message = MISTAKES[text]
    assert [(each.code, where(each).line, where(each).column) for each in found] == [(code, line, column)]
    assert message in found[0].message


def where(diagnostic: Diagnostic) -> Span:
    assert diagnostic.span is not None
    return diagnostic.span


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1E3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-0.5e+2", -50.0),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        (".inf", float("inf")),
        ("-.Inf", float("-inf")),
        ("'1'", "1"),
        ('"true"', "true"),
        ("2001-01-01", "2001-01-01"),
        ("1e", "1e"),
        ("0b11", "0b11"),
        ("-", None),
        ("$mlp", "$mlp"),
        ("4 * d_model", "4 * d_model"),
        ("é", "é"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    tree, found = source.parse(f"a: {text}\n" if text != "-" else "a:\n", "f")
    assert tree is not None and found == []
    read = source.plain(source.find(tree, ("a",)))
    assert read == value and type(read) is type(value)


def test_not_a_number_is_read() -> None:
    tree, found = source.parse(".nan", "f")
    assert isinstance(tree, Scalar) and isinstance(tree.value, float) and tree.value != tree.value and not found


def test_the_rest_is_kept_where_it_is_safe() -> None:
    text = "a: {hidden: ceil_to(8, 64), x:3}\nb: 1\nb: 2\nc: !!str 4\n[d]: 5\n- e\n".replace("- e\n", "")
    tree, found = source.parse(text, "f")
    assert tree is not None
    assert source.plain(tree) == {"a": {"hidden": "ceil_to(8, 64)", "x": 3}, "b": 1, "c": 4}
    assert sorted(each.code for each in found) == ["Y011", "Y020", "Y021", "Y022", "Y023"]


def test_spans_of_everything() -> None:
    text = "é: 'x y'\nb:\n  - {k: [1, two]}\n\nc: |\n  foo\n\nd:\n"
    tree, _ = source.parse(text, "f")
    assert tree is not None
    shown = {
        path: source.find(tree, path).span
        for path in [(), ("é",), ("b",), ("b", 0, "k"), ("b", 0, "k", 1), ("c",), ("d",)]
    }
    assert {path: (s.line, s.column, s.end_line, s.end_column) for path, s in shown.items()} == {
        (): (1, 1, 8, 3),
        ("é",): (1, 4, 1, 9),
        ("b",): (3, 3, 3, 18),
        ("b", 0, "k"): (3, 9, 3, 17),
        ("b", 0, "k", 1): (3, 13, 3, 16),
        ("c",): (5, 4, 6, 6),
        ("d",): (8, 3, 8, 3),
    }
    assert source.key_span(tree, ("b", 0, "k")) == Span("f", 3, 6, 3, 7)


def test_find_stays_where_a_step_is_not_written() -> None:
    tree, _ = source.parse("norm: rms\nlist: [a]\n", "f")
    assert tree is not None
    assert source.find(tree, ("norm", "type")) == source.find(tree, ("norm",))
    assert source.find(tree, ("list", 7)) == source.find(tree, ("list",))
    assert source.key_span(tree, ("norm", "type")) == Span("f", 1, 7, 1, 10)


def test_merge_keeps_spans_and_order() -> None:
    base, _ = source.parse("a: 1\nb: {c: 2, d: [3]}\n", "base")
    over, _ = source.parse("e: 5\nb: {d: [4]}\n", "over")
    assert base is not None and over is not None
    both = source.merge(base, over)
    assert source.plain(both) == {"a": 1, "b": {"c": 2, "d": [4]}, "e": 5}
    assert [source.find(both, path).span.file for path in [("a",), ("b", "c"), ("b", "d"), ("e",)]] == [
        "base",
        "base",
        "over",
        "over",
    ]
    assert source.key_span(both, ("b",)).file == "over"


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_bytes_are_answered_within_a_second(number: int) -> None:
    raw = HOSTILE[number]
    begun = time.process_time()
    tree, found = source.parse(raw, "h.yaml")
    assert time.process_time() - begun < 2.5  # alone, the slowest takes a tenth: what grows faster than its text
    assert tree is not None or found
    assert len(found) <= 201
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    for each in found:
        inside(where(each), text)


def inside(span: Span, text: str) -> str:
    """Return what stands in a span, which must lie within the text."""
    lines = re.split(r"\r\n|\r|\n", text)
    assert 1 <= span.line <= span.end_line <= len(lines)
    assert 1 <= span.column <= len(lines[span.line - 1]) + 1
    assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
    assert (span.line, span.column) <= (span.end_line, span.end_column)
    if span.line == span.end_line:
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]
    middle = lines[span.line : span.end_line - 1]
    return "\n".join(
        [lines[span.line - 1][span.column - 1 :], *middle, lines[span.end_line - 1][: span.end_column - 1]]
    )


def check_spans(value: Value, text: str) -> None:
    """Assert that every scalar's span holds its source, and that every span lies within the text."""
    shown = inside(value.span, text)
    if isinstance(value, Sequence):
        for item in value.items:
            check_spans(item, text)
    elif isinstance(value, Mapping):
        for key, child in value.entries:
            check_spans(key, text)
            check_spans(child, text)
    elif value.quoted:
        assert shown[:1] in ("'", '"', "|", ">")
    elif value.span.line == value.span.end_line:
        assert shown == value.text or " ".join(shown.split()) == value.text
    else:
        assert shown.split() == value.text.split()


YAMLISH = st.text(alphabet="ab12:,-[]{}()'\"#&*!|>%@?~.\\\n\n\t\r $<=é漢", max_size=60)


@settings(max_examples=400, deadline=None)
@given(st.one_of(YAMLISH, st.text(max_size=60)))
def test_any_text_is_answered_and_spans_hold_their_source(text: str) -> None:
    tree, found = source.parse(text, "f")
    assert tree is not None or found
    shown = text.removeprefix("\ufeff")
    for each in found:
        assert where(each).file == "f"
        inside(where(each), shown)
        for note in each.notes:
            assert note.span is not None
            inside(note.span, shown)
        for edit in each.edits:
            inside(edit.span, shown)
    if tree is not None:
        check_spans(tree, shown)
        source.plain(tree)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_answered(raw: bytes) -> None:
    tree, found = source.parse(raw, "f")
    assert tree is not None or found


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\r\n")
    document = source.load(path)
    assert document.text == "a: 1\r\n" and document.value is not None and document.diagnostics == ()
    assert document.file == str(path)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "gpt2.yaml").write_text("a: 1\n")
    (tmp_path / "large.yaml").write_bytes(b"#" * (2 << 20))
    os.mkfifo(tmp_path / "pipe")
    answers = {
        "gtp2.yaml": ("there is no such file", f"did you mean `{tmp_path}/gpt2.yaml`?"),
        "none/a.yaml": ("there is no such file", f"the folder `{tmp_path}/none` is not there either"),
        ".": ("it is a folder", ""),
        "pipe": ("it is not a regular file", ""),
        "a\0b": ("this is no file name", ""),
        "x" * 300: ("file name too long", ""),
    }
    done: dict[str, tuple[str, str]] = {}

    def work() -> None:
        for name in answers:
            (found,) = source.load(f"{tmp_path}/{name}").diagnostics
            assert found.code == "Y001" and found.span is not None
            done[name] = (found.message.split("`: ", 1)[1], found.help)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert done == answers
    assert [each.code for each in source.load(tmp_path / "large.yaml").diagnostics] == ["Y002"]
