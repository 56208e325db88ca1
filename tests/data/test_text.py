"""Where text is found, how it is read in pieces, and how the held-out part is set apart."""

import sysconfig
from pathlib import Path

import pytest

from tfdsl import settings
from tfdsl.data import text
from tfdsl.data.find import find
from tfdsl.data.source import Record, Source
from tfdsl.diagnostics import Diagnostic


def parts(source: Source, share: float) -> tuple[list[str], list[str]]:
    """Return the texts that are trained on and those that are held out."""
    apart = source.apart(share)
    found: tuple[list[str], list[str]] = ([], [])
    for record in source.read(0, source.count):
        assert isinstance(record, Record)
        found[bool(apart[record.unit])].append(record.values["text"])
    return found


def texts(folder: Path, *contents: str) -> Source:
    """Return a source of files with these contents."""
    for number, content in enumerate(contents):
        (folder / f"{number:02}.txt").write_text(content)
    found = find(settings.Data(source=str(folder), held_out=0.3))
    assert found.source is not None
    return found.source


def problems(name: Path | str, files: str = "*") -> list[Diagnostic]:
    """Return what is wrong with a source, found or read."""
    found = find(settings.Data(source=str(name), files=files))
    if found.source is None:
        return list(found.problems)
    return [each for each in found.source.read(0, found.source.count) if isinstance(each, Diagnostic)]


def test_a_lone_document_loses_its_tail(tmp_path: Path) -> None:
    assert parts(texts(tmp_path, "abcdefghij"), 0.3) == (["abcdefg"], ["hij"])


def test_the_tail_begins_at_a_character(tmp_path: Path) -> None:
    assert parts(texts(tmp_path, "äöüß"), 0.3) == (["äöü"], ["ß"])


def test_of_several_whole_documents_are_held_out_evenly(tmp_path: Path) -> None:
    assert parts(texts(tmp_path, *"abcdefghij"), 0.2) == (list("abcdfghi"), ["e", "j"])


def test_at_least_one_document_is_held_out(tmp_path: Path) -> None:
    assert parts(texts(tmp_path, *"abc"), 0.01) == (["a", "b"], ["c"])


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name, content in {"b.md": "two", "a/z.md": "one", "c.txt": "no", ".git/d.md": "no", "blank.md": " \n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    found = find(settings.Data(source=str(tmp_path), files="*.md"))
    assert found.source is not None
    assert parts(found.source, 0.5) == (["one"], ["two"])


def test_a_file_that_is_not_text_is_named_with_the_byte(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"abc" * 99 + b"\xff")
    assert [(p.code, p.message, p.label) for p in problems(tmp_path / "x.txt")] == [
        ("R703", f"`{tmp_path / 'x.txt'}` is not UTF-8 text", "byte 297 is 0xff")
    ]


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("  \n")
    assert [problems(tmp_path / name)[0].message for name in ("none", "x.txt", ".")] == [
        f"there is nothing at `{tmp_path / 'none'}`",
        f"`{tmp_path / 'x.txt'}` holds no text",
        f"`{tmp_path}` holds no text",
    ]


def test_the_standard_library_is_read_without_its_tests() -> None:
    found = find(settings.Data(source="stdlib"))
    assert found.source is not None
    train, held_out = parts(found.source, 0.02)
    size = sum(map(len, train + held_out))
    assert 8e6 < size < 20e6
    assert 0.005 < sum(map(len, held_out)) / size < 0.05
    assert (Path(sysconfig.get_path("stdlib")) / "abc.py").read_text() in train + held_out
    assert not any("class BaseTaskTests" in document for document in train)


def test_a_long_file_is_read_in_pieces_that_end_with_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "PIECE", 200)
    monkeypatch.setattr(text, "WINDOW", 100)
    content = "".join(f"line {number}\n" + "\n" * (number % 3 == 0) for number in range(200))
    path = tmp_path / "long.txt"
    path.write_text(content)
    source = text.Text([path], 0.25)
    records = [each for each in source.read(0, source.count) if isinstance(each, Record)]
    pieces = [each.values["text"] for each in records]
    assert "".join(pieces) == content
    assert max(map(len, pieces)) <= 201
    assert [each.ends for each in records].count(True) == 2
    train, held_out = parts(source, 0.25)
    assert "".join(held_out) == content[int(len(content) * 0.75) :]
    assert all(piece.endswith("\n") for piece in train[:-1])
    assert source.pieces(500)[0] == (0, 3)


def test_a_line_without_end_is_cut_at_a_character(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "PIECE", 100)
    monkeypatch.setattr(text, "WINDOW", 50)
    path = tmp_path / "long.txt"
    path.write_text("ß€" * 200)
    source = text.Text([path], 0.25)
    train, held_out = parts(source, 0.25)
    assert "".join(train + held_out) == "ß€" * 200
