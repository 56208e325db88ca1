"""CSV and TSV: cells as spreadsheets and libraries write them, found again anywhere; what is broken told by line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.data.given import LABELLED, PAIRS, made, texts, wrong
from tfdsl.data.delimited import Delimited
from tfdsl.data.lines import Broken
from tfdsl.diagnostics import Diagnostic

HARD = [
    ("plain", "0"),
    ("a comma, a ; and a\ttab", "1"),
    ('she said "hi"', "0"),
    ("two\nlines\r\nof text", "1"),
    ("🦊 ünï", "0"),
    ("", "1"),
    ('"', "0"),
    (" spaces stay ", "1"),
]


def written(path: Path, rows: list[tuple[str, ...]], **how: object) -> Path:
    encoding = str(how.pop("encoding", "utf-8"))
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, **how).writerows(rows)  # type: ignore[arg-type]
    return path


def rows(source: Delimited, first: int = 0, last: int | None = None) -> list[tuple[str, ...] | str]:
    found = source.read(first, source.count if last is None else last)
    return [each.message if isinstance(each, Diagnostic) else tuple(each.values.values()) for each in found]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("name", "separator"), [("x.csv", ","), ("x.csv", ";"), ("x.csv", "\t"), ("x.tsv", "\t")])
def test_cells_are_what_was_written(tmp_path: Path, name: str, separator: str, end: str, encoding: str) -> None:
    path = written(
        tmp_path / name, [("text", "label"), *HARD], delimiter=separator, lineterminator=end, encoding=encoding
    )
    source = Delimited(path)
    assert source.columns == ("text", "label")
    assert (source.count, rows(source)) == (8, HARD)
    assert rows(source, 3, 5) == HARD[3:5]


def test_records_are_found_again_behind_many(tmp_path: Path) -> None:
    many = [(f"{number}\n\n" * (number % 3), str(number % 2)) for number in range(1000)]
    path = written(tmp_path / "x.csv", [("text", "label"), *many])
    path.write_text(path.read_text().replace(",0\n", ",0\n\n", 7))  # blank lines
    source = Delimited(path)
    assert rows(source) == many
    for at in (0, 255, 256, 257, 511, 512, 999):
        assert rows(source, at, at + 1) == [many[at]]
    assert [each for first, last in source.pieces(2000) for each in rows(source, first, last)] == many
    assert len(source.pieces(2000)) == 4
    data = made(tmp_path, LABELLED, str(path))
    assert sorted(texts(data.train, "text", data) + texts(data.held_out, "text", data)) == sorted(t for t, _ in many)
    assert data.labels == ("0", "1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text,label\na,0\nb\n", "line 3 of `x.csv` has 1 cell, and the first line names 2"),
        (b"text,label\na,0\n\nb,c,1\n", "line 4 of `x.csv` has 3 cells, and the first line names 2"),
        (b'text,label\n"a\n\nb,0\n', "line 2 of `x.csv` opens a quote that is never closed"),
        (b'text,label\n"a" b,0\n', "line 2 of `x.csv` goes on behind a closing quote"),
        (b"text,label\na,0\nMontr\xe9al,1\n", "line 3 of `x.csv` is not UTF-8"),
        (b"text,label\na,\n", "`label` of line 2 of `x.csv` is empty, not a class: a text or a whole number"),
        (b"text,text\na,0\n", "line 1 of `x.csv` names the column `text` twice"),
        (b"text\0,label\na,0\n", "line 1 of `x.csv` is not UTF-8"),
        (b"text,label\ra,0\rb,1\r", "line 1 of `x.csv` has a line end that is not one of its own"),
        (b'"text,label\na,0\n', "line 1 of `x.csv` opens a quote that is never closed"),
        (b"\xff\xfea", "`x.csv` begins as UTF-16 and is not"),
        (b"text,label\n", "`x.csv` holds no examples"),
        (b"", "`x.csv` holds no examples"),
        (b"It barks.,dog\nIt purrs.,cat\n", "the objective reads `text` and `label`, which `x.csv` does not have"),
    ],
)
def test_what_is_broken_is_told_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    assert wrong(tmp_path, LABELLED, str(tmp_path / "x.csv"))[0][2] == said


def test_a_column_that_is_missing_is_named_with_those_there(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tsv", [("sentence", "", "label"), ("a", "b", "1")], delimiter="\t")
    assert Delimited(path).columns == ("sentence", "column 2", "label")
    data = {"source": str(path), "fields": {"source": "sentences"}}
    assert wrong(tmp_path, PAIRS, data) == [("train.data.fields.source", "R741", "`x.tsv` has no column `sentences`")]


def test_what_is_around_a_broken_record_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'a,b\n1,2\n"3" 4,5\n\n6\n7,8\n')
    assert rows(Delimited(path)) == [
        ("1", "2"),
        f"line 3 of `{path}` goes on behind a closing quote",
        f"line 5 of `{path}` has 1 cell, and the first line names 2",
        ("7", "8"),
    ]


def test_a_long_text_is_a_cell(tmp_path: Path) -> None:
    long = "word " * 100_000
    assert rows(Delimited(written(tmp_path / "x.csv", [("text",), (long,)]))) == [(long,)]


def test_files_of_a_folder_are_its_parts(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    written(tmp_path / "in/train.csv", [("text", "label"), *HARD])
    written(tmp_path / "in/test.csv", [("text", "label"), *HARD[:2]])
    (tmp_path / "in/README.md").write_text("About it.")
    data = made(tmp_path, LABELLED, str(tmp_path / "in"))
    assert (len(data.train), len(data.held_out)) == (8, 2)


def test_one_that_cannot_be_opened_says_so_itself(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,a\n")
    with pytest.raises(Broken):
        Delimited(tmp_path / "x.csv")
