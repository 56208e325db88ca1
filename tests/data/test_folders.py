"""A folder is read whole, or it is said what of it is left out; what contradicts itself is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.given import IMAGES, LABELLED, TEXT, made, remarks, texts, wrong
from tests.data.test_sources import arrow, jsonl, parquet, picture

ROWS = [{"text": f"t{number}", "label": "ab"[number % 2]} for number in range(10)]


def csv(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows))
    return path


def test_tables_of_all_kinds_are_read_as_one(tmp_path: Path) -> None:
    csv(tmp_path / "x/a.csv", ROWS[:3])
    jsonl(tmp_path / "x/b.jsonl", ROWS[3:5])
    parquet(tmp_path / "x/in/c.parquet", ROWS[5:8])
    (tmp_path / "x/d.json").write_text('[{"text": "t8", "label": "a"}, {"text": "t9", "label": "b"}]')
    data = made(tmp_path, LABELLED, {"source": str(tmp_path / "x"), "held_out": 0.1})
    found = texts(data.train, "text", data) + texts(data.held_out, "text", data)
    assert sorted(found) == [row["text"] for row in ROWS]
    assert data.labels == ("a", "b")


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    csv(tmp_path / "x/a.csv", ROWS)
    csv(tmp_path / "x/b.csv", [])
    (tmp_path / "x/c.csv").touch()
    for name in ("README.md", "LICENSE"):
        (tmp_path / "x" / name).write_text("about\n")
    picture(tmp_path / "x/plot.png", (4, 4))
    assert remarks(tmp_path, LABELLED, str(tmp_path / "x")) == [
        ("W628", "of `x` 3 files are not read, as tables are there: `LICENSE`, `README.md`, `plot.png`"),
        ("W628", "of `x` 2 files are not read, as they hold no examples: `b.csv`, `c.csv`"),
    ]


def test_a_folder_about_one_thing_says_nothing(tmp_path: Path) -> None:
    for name in ("a.txt", "b.md", "in/c.py", "README.md"):
        (tmp_path / "x/in").mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_text("words\n")
    assert remarks(tmp_path, TEXT, str(tmp_path / "x")) == []


@pytest.mark.parametrize("many", ["txt", "png"])
def test_few_tables_among_many_files_are_not_guessed(tmp_path: Path, many: str) -> None:
    csv(tmp_path / "x/a.csv", ROWS)
    for number in range(2):
        picture(tmp_path / f"x/{number}.png", (4, 4)).rename(tmp_path / f"x/{number}.{many}")
    ((place, code, message),) = wrong(tmp_path, LABELLED, str(tmp_path / "x"))
    kind = "texts" if many == "txt" else "images"
    told = f"`x` holds 1 table and 2 {kind}: `a.csv`, `0.{many}`, `1.{many}`"
    assert (place, code, message) == ("train.data.source", "R756", told)


def test_tables_that_contradict_each_other(tmp_path: Path) -> None:
    csv(tmp_path / "x/a.csv", ROWS)
    (tmp_path / "x/b.csv").write_text("text,grade\nt,1\n")
    assert wrong(tmp_path, LABELLED, str(tmp_path / "x")) == [
        ("train.data.source", "R741", "`x/b.csv` has no column `label`, which `x/a.csv` has")
    ]


def test_a_field_that_the_first_example_has_not(tmp_path: Path) -> None:
    from tfdsl.data.wanted import Field, Wanted

    wanted = Wanted(((Field("text"), Field("second", optional=True)),))
    path = jsonl(tmp_path / "x.jsonl", [{"text": "a"}, {"text": "b", "second": None}, {"text": "c", "second": "d"}])
    assert [each[2] for each in wrong(tmp_path, wanted, str(path))] == [
        "`second` of line 3 of `x.jsonl` is there, and the first example has none"
    ]


def test_parts_that_are_not_read_are_told(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        csv(tmp_path / f"x/{part}.csv", ROWS[:4])
    x = tmp_path / "x"
    assert remarks(tmp_path / "1", LABELLED, str(x)) == [
        ("W628", f"of `{x}` 1 file is not read, as `val` is held out: `test.csv`")
    ]
    said = "as `held_out` says what is held out"
    for held_out, left in ((0.5, ["`test.csv`", "`val.csv`"]), (str(x / "test.csv"), ["`test.csv`", "`val.csv`"])):
        found = remarks(tmp_path / str(held_out).replace("/", ""), LABELLED, {"source": str(x), "held_out": held_out})
        assert left[1] in found[-1][1] and said in found[-1][1]
    (x / "test.csv").unlink()
    assert remarks(tmp_path / "2", LABELLED, {"source": str(x), "held_out": str(x / "val.csv")}) == []
    csv(x / "more.csv", ROWS)
    assert remarks(tmp_path / "3", LABELLED, str(x)) == [
        ("W629", f"`val.csv` of `{x}` is an example like the others: `more.csv` is named as no part")
    ]


def test_texts_that_are_named_as_parts_are_those(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / f"x/{part}.txt").write_text(part * 9)
    data = made(tmp_path, TEXT, str(tmp_path / "x"))
    assert (texts(data.train, "text", data), texts(data.held_out, "text", data)) == (["train" * 9], ["valid" * 9])


def test_a_held_out_folder_with_parts_of_its_own_is_refused(tmp_path: Path) -> None:
    csv(tmp_path / "a.csv", ROWS)
    for part in ("train", "test"):
        csv(tmp_path / f"x/{part}.csv", ROWS)
    given = {"source": str(tmp_path / "a.csv"), "held_out": str(tmp_path / "x")}
    assert [each[:2] for each in wrong(tmp_path, LABELLED, given)] == [("train.data.held_out", "R756")]


def test_images_without_a_class_and_classes_without_an_image(tmp_path: Path) -> None:
    for name in ("cat/0", "cat/1", "dog/0", "dog/1"):
        picture(tmp_path / f"x/{name}.png", (4, 4))
    (tmp_path / "x/bird").mkdir()
    assert remarks(tmp_path, IMAGES, str(tmp_path / "x")) == [
        ("W628", "of `x` 1 folder holds no image and is no class: `bird`")
    ]
    picture(tmp_path / "x/0.png", (4, 4))
    assert wrong(tmp_path / "again", IMAGES, str(tmp_path / "x"))[0][1] == "R756"


def test_images_of_which_parts_are_not_read(tmp_path: Path) -> None:
    for name in ("Train/cat/0", "Train/dog/0", "val/cat/0", "val/dog/0", "extra/cat/0"):
        picture(tmp_path / f"x/{name}.png", (4, 4))
    x = str(tmp_path / "x")
    assert made(tmp_path, IMAGES, x).labels == ("cat", "dog")
    assert remarks(tmp_path, IMAGES, x) == [
        ("W628", "of `x` 1 file is not read, as `train` and `val` are there: `extra/cat/0.png`")
    ]


def test_held_out_images_of_another_shape_are_found(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / f"x/{'ab'[number % 2]}/{number}.png", (4, 4))
        picture(tmp_path / f"y/{'ab'[number % 2]}/{number}.png", (4, 4, 3))
    given = {"source": str(tmp_path / "x"), "held_out": str(tmp_path / "y")}
    assert wrong(tmp_path, IMAGES, given)[0] == (
        "train.data.held_out",
        "R745",
        "`image` of `y/a/0.png` has the shape [3, 4, 4], those before it [1, 4, 4]",
    )
    data = made(tmp_path, IMAGES, {**given, "image": {"channels": 3}})
    assert data.held_out.columns["image"].values.shape == data.train.columns["image"].values.shape == (4, 3, 4, 4)


def test_what_is_transparent_stands_on_white(tmp_path: Path) -> None:
    from PIL import Image

    from tfdsl.data.pictures import decoded

    image = np.zeros((1, 2, 4), np.uint8)
    image[0, 1] = (10, 20, 30, 255)
    Image.fromarray(image).save(tmp_path / "x.png")
    assert decoded((tmp_path / "x.png").read_bytes())[:, 0].tolist() == [[255, 10], [255, 20], [255, 30]]
    Image.fromarray(np.array([[[9, 0], [9, 255]]], np.uint8), "LA").save(tmp_path / "y.png")
    assert decoded((tmp_path / "y.png").read_bytes()).tolist() == [[[255, 9]]]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    csv(tmp_path / "there/a.csv", ROWS)
    (tmp_path / "x").mkdir()
    (tmp_path / "x/link").symlink_to(tmp_path / "there")
    (tmp_path / "there/back").symlink_to(tmp_path / "x")
    data = made(tmp_path, LABELLED, str(tmp_path / "x"))
    assert len(data.train) + len(data.held_out) == 10


def test_parts_of_a_dataset_that_number_classes_otherwise(tmp_path: Path) -> None:
    import json

    for part, names in (("train", ["a", "b"]), ("test", ["b", "a"])):
        folder = arrow(tmp_path / f"x/{part}", [{"text": "t", "label": 0}] * 3)
        about = {"features": {"label": {"names": names, "_type": "ClassLabel"}}}
        (folder / "dataset_info.json").write_text(json.dumps(about))
    (tmp_path / "x/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert [each[1] for each in wrong(tmp_path, LABELLED, str(tmp_path / "x"))] == ["R756"]


def test_a_page_beside_parts_is_told_and_a_share_of_a_lone_part_is_held_out(tmp_path: Path) -> None:
    for name in ("README.md", "train.txt", "test.txt"):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / name).write_text(name * 9)
    x = str(tmp_path / "x")
    assert remarks(tmp_path, TEXT, x) == [("W628", "of `x` 1 file is not read, as `test` is held out: `README.md`")]
    data = made(tmp_path, TEXT, {"source": x, "held_out": 0.5})
    assert "".join(texts(data.train, "text", data) + texts(data.held_out, "text", data)) == "train.txt" * 9


def test_names_of_classes_in_a_parquet_file_are_known(tmp_path: Path) -> None:
    """As `datasets` writes them; another table may name them, and none may number them otherwise."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(name: str, names: list[str]) -> None:
        (tmp_path / "x").mkdir(exist_ok=True)
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        told = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        table = pa.Table.from_pylist([{"text": "t", "label": number % 2} for number in range(4)])
        pq.write_table(table.replace_schema_metadata(told), tmp_path / "x" / name)

    write("a.parquet", ["a", "b"])
    csv(tmp_path / "x/0.csv", ROWS)
    data = made(tmp_path, LABELLED, str(tmp_path / "x"))
    assert data.labels == ("a", "b")
    assert sorted(data.train.columns["label"].values.tolist() + data.held_out.columns["label"].values.tolist()) == (
        [0] * 7 + [1] * 7
    )
    write("b.parquet", ["b", "a"])
    assert wrong(tmp_path / "again", LABELLED, str(tmp_path / "x"))[0][1] == "R756"
