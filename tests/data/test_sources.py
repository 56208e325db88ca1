"""Every kind of source becomes the same tables, and what is wrong in one is said with its place."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.data.given import IMAGES, LABELLED, NUMBERS, PAIRS, SPANS, TEXT, made, texts, wrong
from tfdsl import settings
from tfdsl.data import find
from tfdsl.data.source import spread
from tfdsl.data.table import Prepared

ROWS = [{"question": f"q{number}", "answer": f"a{number}"} for number in range(10)]
RENAMED = {"source": "question", "target": "answer"}


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def parquet(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    return path


def arrow(path: Path, rows: list[Any]) -> Path:
    """Write a folder as `save_to_disk` does."""
    path.mkdir(parents=True)
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(str(path / "data-00000-of-00001.arrow"), table.schema) as stream:
        stream.write_table(table)
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    return path


def picture(path: Path, shape: tuple[int, ...], value: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)
    return path


def pairs(data: Prepared) -> list[tuple[str, str]]:
    return [
        pair
        for table in (data.train, data.held_out)
        for pair in zip(texts(table, "source", data), texts(table, "target", data), strict=True)
    ]


@pytest.mark.parametrize(
    ("write", "name"), [(jsonl, "x.jsonl"), (parquet, "x.parquet"), (arrow, "x"), (jsonl, "in/a.jsonl")]
)
def test_rows_of_any_format_are_the_same_pairs(tmp_path: Path, write: Any, name: str) -> None:
    write(tmp_path / name, ROWS)
    source = tmp_path / ("in" if name.startswith("in/") else name)
    data = made(tmp_path, PAIRS, {"source": str(source), "fields": RENAMED, "held_out": 0.2})
    assert sorted(pairs(data)) == [(f"q{number}", f"a{number}") for number in range(10)]
    assert texts(data.held_out, "source", data) == ["q4", "q6"]
    assert data.train.sizes == {"source": 16, "target": 16}


def test_a_list_of_json_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(ROWS))
    data = made(tmp_path, PAIRS, {"source": str(tmp_path / "x.json"), "fields": RENAMED})
    assert len(data.train) == 9


def test_many_lines_are_found_again(tmp_path: Path) -> None:
    rows = [{"text": f"{number} " * (number % 7), "label": number % 3} for number in range(1000)]
    path = jsonl(tmp_path / "x.jsonl", rows)
    path.write_text(path.read_text().replace("\n", "\n\n", 5).rstrip("\n"))  # blank lines, and none at the end
    data = made(tmp_path, LABELLED, {"source": str(path), "held_out": 0.25})
    found = texts(data.train, "text", data) + texts(data.held_out, "text", data)
    assert sorted(found) == sorted(row["text"] for row in rows)
    assert data.labels == ("0", "1", "2")
    from tfdsl.data.lines import Lines

    lines = Lines(path)
    places = [next(lines.read(at, at + 1)).place.split(" of ")[0] for at in (255, 256, 257, 999)]  # type: ignore[union-attr]
    assert places == ["line 256", "line 257", "line 258", "line 1,000"]


def test_the_parts_of_a_dataset_are_train_and_held_out(tmp_path: Path) -> None:
    arrow(tmp_path / "x/train", ROWS[:7])
    arrow(tmp_path / "x/validation", ROWS[7:])
    (tmp_path / "x/dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    data = made(tmp_path, PAIRS, {"source": str(tmp_path / "x"), "fields": RENAMED})
    assert (len(data.train), texts(data.held_out, "target", data)) == (7, ["a7", "a8", "a9"])
    again = made(tmp_path, PAIRS, {"source": str(tmp_path / "x"), "fields": RENAMED, "held_out": 0.5})
    assert (len(again.train), len(again.held_out)) == (4, 3)


def test_files_named_as_parts_are_train_and_held_out(tmp_path: Path) -> None:
    parquet(tmp_path / "x/train-00000-of-00002.parquet", ROWS[:4])
    parquet(tmp_path / "x/train-00001-of-00002.parquet", ROWS[4:7])
    parquet(tmp_path / "x/test-00000-of-00001.parquet", ROWS[7:])
    data = made(tmp_path, PAIRS, {"source": str(tmp_path / "x"), "fields": RENAMED})
    assert (len(data.train), len(data.held_out)) == (7, 3)


def test_another_source_is_held_out(tmp_path: Path) -> None:
    jsonl(tmp_path / "x.jsonl", ROWS)
    parquet(tmp_path / "y.parquet", ROWS[:3])
    names = {"source": str(tmp_path / "x.jsonl"), "held_out": str(tmp_path / "y.parquet"), "fields": RENAMED}
    data = made(tmp_path, PAIRS, names)
    assert (len(data.train), len(data.held_out)) == (10, 3)
    jsonl(tmp_path / "z.jsonl", [{"question": "q"}])
    other = {**names, "held_out": str(tmp_path / "z.jsonl")}
    assert wrong(tmp_path / "again", PAIRS, other) == [
        ("train.data.held_out", "R741", f"`{tmp_path}/z.jsonl` has no column `answer`")
    ]


def test_names_of_classes_come_with_a_dataset(tmp_path: Path) -> None:
    folder = arrow(tmp_path / "x", [{"text": f"t{number}", "label": number % 2} for number in range(10)])
    about = {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}
    (folder / "dataset_info.json").write_text(json.dumps(about))
    data = made(tmp_path, LABELLED, str(folder))
    assert data.labels == ("bad", "good")
    assert data.train.columns["label"][1] == 1


def test_images_in_folders(tmp_path: Path) -> None:
    for number in range(10):
        picture(tmp_path / "x" / ("cat" if number % 2 else "dog") / f"{number}.png", (8, 8, 3), number)
    data = made(tmp_path, IMAGES, str(tmp_path / "x"))
    assert data.labels == ("cat", "dog")
    image = data.train.columns["image"][0]
    assert (image.shape, image.dtype, image[0, 0, 0], data.train.columns["label"][0]) == ((3, 8, 8), np.uint8, 1, 0)
    assert len(data.train) == 9


def test_images_are_brought_to_one_shape(tmp_path: Path) -> None:
    picture(tmp_path / "x/a/0.png", (8, 12, 3))
    picture(tmp_path / "x/b/1.jpg", (20, 16))
    picture(tmp_path / "x/b/2.png", (4, 4, 4))
    data = made(tmp_path, IMAGES, {"source": str(tmp_path / "x"), "image": {"size": 8, "channels": 1}})
    assert data.train.columns["image"].values.shape == (2, 1, 8, 8)
    assert wrong(tmp_path / "other", IMAGES, str(tmp_path / "x"))[0][:2] == ("train.data.source", "R745")


def test_images_within_a_table(tmp_path: Path) -> None:
    content = picture(tmp_path / "0.png", (8, 8)).read_bytes()
    rows: list[dict[str, Any]] = [{"image": {"bytes": content, "path": "0.png"}, "label": "x"} for _ in range(4)]
    data = made(tmp_path, IMAGES, str(parquet(tmp_path / "x.parquet", rows)))
    assert data.train.columns["image"].values.shape == (3, 1, 8, 8)
    rows[2]["image"] = {"bytes": content[:40], "path": None}
    found = wrong(tmp_path / "again", IMAGES, str(parquet(tmp_path / "y.parquet", rows)))
    assert found == [
        ("train.data.source", "R744", f"`image` of row 2 of `{tmp_path}/y.parquet` is no image that can be read")
    ]


def test_arrays(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    np.save(tmp_path / "x/image.npy", np.zeros((10, 4, 4), np.uint8))
    np.save(tmp_path / "x/label.npy", np.arange(10) % 3)
    data = made(tmp_path, IMAGES, str(tmp_path / "x"))
    assert (data.train.columns["image"].values.shape, data.labels) == ((9, 1, 4, 4), ("0", "1", "2"))
    np.save(tmp_path / "sound.npy", np.ones((10, 3, 5), np.float64))
    numbers = made(tmp_path, NUMBERS, str(tmp_path / "sound.npy")).train.columns["numbers"].values
    assert (numbers.shape, numbers.dtype) == ((9, 3, 5), np.float32)


def test_what_is_wrong_in_rows(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", ROWS)
    lines = path.read_text().splitlines()
    lines[3], lines[5] = '{"question": "q3", "answer": 3}', '{"question": "q5"}'
    path.write_text("\n".join(lines))
    assert wrong(tmp_path, PAIRS, {"source": str(path), "fields": RENAMED}) == [
        ("train.data.source", "R743", "`answer` of line 4 of `x.jsonl` is a whole number, not a text"),
        ("train.data.source", "R743", "`answer` of line 6 of `x.jsonl` is missing"),
    ]
    lines[3], lines[5] = '{"question": "q3", ', "[1]"
    path.write_text("\n".join([*lines, '{"question": "\\ud800", "answer": ""}', "\x00"]))
    assert wrong(tmp_path, PAIRS, {"source": str(path), "fields": RENAMED}, "characters") == [
        (
            "train.data.source",
            "R742",
            "line 4 of `x.jsonl` is not JSON: expecting property name enclosed in double quotes, column 20",
        ),
        ("train.data.source", "R742", "line 6 of `x.jsonl` is a list, not a mapping"),
        (
            "train.data.source",
            "R743",
            "`question` of line 11 of `x.jsonl` holds half of a character (\\ud800) at character 0",
        ),
        ("train.data.source", "R742", "line 12 of `x.jsonl` is not JSON: expecting value, column 1"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.jsonl", b"", ("R702", "`x.jsonl` holds no examples")),
        ("x.jsonl", b"{\n", ("R742", "line 1 of `x.jsonl` is not JSON: expecting property name")),
        ("x.json", b"[1]", ("R742", "example 0 of `x.json` is a whole number, not a mapping")),
        ("x.txt", b" \n", ("R702", "`x.txt` holds no text")),
        ("x.parquet", b"PAR1", ("R747", "`x.parquet` is no whole Parquet file: ")),
        ("x.arrow", b"", ("R747", "`x.arrow` is no whole Arrow file: ")),
        ("x.npy", b"\x93NUMPY", ("R747", "`x.npy` is no whole .npy file")),
        ("missing", None, ("R702", "there is nothing at `missing`")),
    ],
)  # fmt: skip
def test_files_that_are_no_source(tmp_path: Path, name: str, content: bytes | None, expected: tuple[str, str]) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ((_, code, message),) = wrong(tmp_path, TEXT, str(tmp_path / name))
    assert (code, message[: len(expected[1])]) == expected


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    np.save(tmp_path / "x/image.npy", np.zeros((10, 4, 4), np.float32))
    np.save(tmp_path / "x/label.npy", np.arange(9))
    assert wrong(tmp_path, IMAGES, str(tmp_path / "x")) == [
        ("train.data.source", "R747", "the arrays of `x` have different lengths: `image` 10, `label` 9")
    ]
    np.save(tmp_path / "x/label.npy", np.arange(10))
    assert wrong(tmp_path, IMAGES, str(tmp_path / "x"))[0][2] == (
        "`image` of example 0 of `x` is an array [4, 4] of float32: an image is whole numbers from 0 to 255 (uint8)"
    )
    np.save(tmp_path / "y.npy", np.array([1.0, np.nan, 2.0]))
    assert wrong(tmp_path, NUMBERS, str(tmp_path / "y.npy"))[0][2] == (
        "`y` of example 1 of `y.npy` holds what is not a finite number"
    )
    np.save(tmp_path / "z.npy", np.array([{}, []], object), allow_pickle=True)
    assert wrong(tmp_path, NUMBERS, str(tmp_path / "z.npy"))[0][2] == "`z.npy` holds Python objects"


def test_columns_that_are_not_there_are_listed(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", ROWS)
    assert wrong(tmp_path, PAIRS, str(path)) == [
        ("train.data.source", "R741", "the objective reads `source` and `target`, which `x.jsonl` does not have")
    ]
    assert wrong(tmp_path, PAIRS, {"source": str(path), "fields": {"source": "questoin", "target": "answer"}}) == [
        ("train.data.fields.source", "R741", "`x.jsonl` has no column `questoin`")
    ]
    assert wrong(tmp_path, PAIRS, {"source": str(path), "fields": {"sauce": "question"}}) == [
        ("train.data.fields.sauce", "R741", "the objective reads no field `sauce`")
    ]


def test_settings_that_would_do_nothing_are_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", [{"text": "a"}] * 9)
    given = {"source": str(path), "size": 3, "files": "*.md", "image": 8}
    assert [each[1] for each in wrong(tmp_path, TEXT, given)] == ["R755", "R755"]
    assert wrong(tmp_path, TEXT, {"source": str(path), "image": 8}) == [
        ("train.data.image", "R755", "`image` brings images to one shape, and the objective reads none")
    ]


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "x.parquet", ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert wrong(tmp_path, PAIRS, str(path)) == [
        ("train.data.source", "R747", "reading this needs the package `pyarrow`")
    ]


def test_one_example_is_too_few(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", ROWS[:1])
    assert wrong(tmp_path, PAIRS, {"source": str(path), "fields": RENAMED}) == [
        ("train.data.source", "R754", "the data have 0 examples to train on and 1 held out")
    ]


def test_a_built_in_set_is_known_by_its_name_whatever_lies_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reverse").mkdir()
    (tmp_path / "reverse" / "a.txt").write_text("words\n")
    sources = [find.find(settings.Data.read(name)).source for name in ("reverse", "./reverse")]
    assert [tuple(each.columns) for each in sources if each is not None] == [("source", "target"), ("text",)]


@pytest.mark.parametrize(
    ("given", "names", "numbers"),
    [
        ([-1, 1, -1, 1], ("-1", "1"), [0, 1, 0]),
        ([1, "a", 1, "a"], ("1", "a"), [0, 1, 0]),
        ([0.0, 2.0, 0.0, 2.0], ("0", "1", "2"), [0, 2, 0]),
        ([True, False, True, False], ("false", "true"), [1, 0, 1]),
        (["10", "-2", "9", "9"], ("-2", "9", "10"), [2, 0, 1]),
    ],
)
def test_labels_are_the_classes_that_they_name(
    tmp_path: Path, given: list[Any], names: tuple[str, ...], numbers: list[int]
) -> None:
    path = jsonl(tmp_path / "x.jsonl", [{"text": "t", "label": each} for each in given])
    data = made(tmp_path, LABELLED, {"source": str(path), "held_out": 0.25})
    assert data.labels == names
    assert [int(each) for each in data.train.columns["label"].values] == numbers


def test_a_label_between_two_numbers_is_none(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", [{"text": "t", "label": 0.5}] * 3)
    assert wrong(tmp_path, LABELLED, str(path))[0][1] == "R743"


@pytest.mark.parametrize("blank", ["\n", "\r\n", "  \n"])
def test_what_is_held_out_is_no_blank_line(tmp_path: Path, blank: str) -> None:
    """Of ten examples one, wherever blank lines stand; also where a folder has two such files."""
    for name in ("a", "b"):
        jsonl(tmp_path / "in" / f"{name}.jsonl", [{"text": "t", "label": 0}] * 10)
        path = tmp_path / "in" / f"{name}.jsonl"
        path.write_bytes((blank + path.read_text().replace("\n", "\n" + blank)).encode())
    one = made(tmp_path / "1", LABELLED, str(tmp_path / "in" / "a.jsonl"))
    assert (len(one.train), len(one.held_out)) == (9, 1)
    both = made(tmp_path / "2", LABELLED, str(tmp_path / "in"))
    assert (len(both.train), len(both.held_out)) == (18, 2)
    (tmp_path / "none.jsonl").write_text(blank * 3)
    assert wrong(tmp_path / "3", LABELLED, str(tmp_path / "none.jsonl"))[0][1] == "R702"


@pytest.mark.parametrize("block", [1, 2, 3, 5, 7])
def test_blank_lines_are_found_across_blocks(tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfdsl.data import lines

    monkeypatch.setattr(lines, "BLOCK", block)
    text = ["", "{}", " ", "\r", '{"a": 1}', "", "", "{}", "   "]
    for tail in ("\n", ""):
        (tmp_path / "x.jsonl").write_text("\n".join(text) + tail, newline="")
        _, count, blank = lines._index(tmp_path / "x.jsonl")
        assert count == 9
        assert blank.tolist() == [at for at, line in enumerate(text) if not line.strip()]


def test_what_is_held_out_falls_in_step_with_no_order_of_the_rows() -> None:
    """Classes that take turns are all among it, whatever their number."""
    for classes in (2, 3, 5, 10):
        chosen = spread(600, 0.1)
        found = np.bincount(np.arange(600)[chosen] % classes, minlength=classes)
        assert found.sum() == 60
        assert found.min() >= 30 // classes


ODD = {"text": ["Ann"], "answer_start": ["x"]}


@pytest.mark.parametrize(
    ("wanted", "row", "said"),
    [
        (SPANS, {"question": "q", "passage": "Ann is", "answer": ODD}, "has a text that starts at a text"),
        (SPANS, {"question": "q", "passage": "Ann is", "answer": {"text": [3], "answer_start": [1]}}, "has a whole"),
        (SPANS, {"question": "q", "passage": "Ann is", "answer": {"text": None, "answer_start": None}}, "has nothing"),
        (NUMBERS, {"numbers": [[1.0, None]]}, "is a list, not numbers"),
        (NUMBERS, {"numbers": [10**400]}, "is a list, not numbers"),
        (LABELLED, {"text": "t", "label": [1, 0]}, "is a list, not a class"),
    ],
)
def test_values_that_nobody_meant_are_told(tmp_path: Path, wanted: Any, row: dict[str, Any], said: str) -> None:
    found = wrong(tmp_path, wanted, str(jsonl(tmp_path / "x.jsonl", [row] * 2)))
    assert found[0][1] == "R743"
    assert said in found[0][2]


def test_numbers_beyond_all_counting_are_names(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", [{"text": "t", "label": (7, 10**12)[at % 2]} for at in range(4)])
    assert made(tmp_path, LABELLED, str(path)).labels == ("7", "1000000000000")


def test_what_is_no_utf8_says_where_and_what_to_do(tmp_path: Path) -> None:
    from tfdsl.data.text import remedy

    (tmp_path / "x.json").write_bytes('[{"text": "été"}]'.encode("latin-1"))
    assert wrong(tmp_path, TEXT, str(tmp_path / "x.json")) == [("train.data.source", "R742", "`x.json` is not UTF-8")]
    for content, said in (
        (b"caf\xe9", "iconv -f latin1"),
        ("café".encode("utf-16"), "iconv -f utf-16"),
        (b"\x1f\x8b\x08\x00", "unpack it"),
        (b"\x89PNG\x00", "it is no text"),
    ):
        (tmp_path / "x.txt").write_bytes(content)
        assert said in remedy(tmp_path / "x.txt")


def test_a_dataset_that_does_not_say_what_it_is(tmp_path: Path) -> None:
    for name, text in (("dataset_dict.json", '{"splits": 3}'), ("state.json", '{"_data_files": [{"name": 1}]}')):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text(text)
        assert wrong(tmp_path, TEXT, str(folder))[0][1] == "R747"
