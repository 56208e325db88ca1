"""The built-in sets: what they say is so, the same again from the same seed, and honest about what is held out."""

from __future__ import annotations

import datetime
import re
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from tests.data.given import IMAGES, PAIRS, SPANS, made, texts, wrong
from tfdsl.data.built_in import FIXED, SETS
from tfdsl.data.source import Listed, Record
from tfdsl.data.values import stretch


def rows(name: str, size: int | None = 300, seed: int = 0) -> list[dict[str, object]]:
    source = SETS[name](size, seed)
    return [dict(each.values) for each in source.read(0, source.count) if isinstance(each, Record)]


@pytest.mark.parametrize("name", [name for name in SETS if name not in ("stdlib", "docstrings")])
def test_a_set_is_a_function_of_its_size_and_seed(name: str) -> None:
    first, again, other = rows(name, 40), rows(name, 40), rows(name, 40, 1)
    assert len(first) == 40
    assert all(np.array_equal(a[key], b[key]) for a, b in zip(first, again, strict=True) for key in a)  # type: ignore[arg-type]
    assert (name in FIXED) == all(str(a) == str(b) for a, b in zip(first, other, strict=True))


def test_dates_can_be_told_from_their_text() -> None:
    found = rows("dates", 3000)
    assert len({row["source"] for row in found}) == 3000
    for row in found:
        day = datetime.date.fromisoformat(str(row["target"]))
        numbers = [int(each) for each in re.findall(r"\d+", str(row["source"]))]
        assert day.year in numbers and day.day in numbers
    assert len({re.sub(r"[A-Za-z]+", "a", re.sub(r"\d", "1", str(row["source"]))) for row in found}) > 12


def test_letters_and_sums() -> None:
    assert all(row["target"] == str(row["source"])[::-1] for row in rows("reverse"))
    assert all(row["target"] == "".join(sorted(str(row["source"]))) for row in rows("sort"))
    assert all(int(str(row["target"])) == sum(map(int, str(row["source"]).split("+"))) for row in rows("addition"))
    assert {"prompt": "What is 636+26? ", "answer": "662"} in rows("answers")


def test_the_rejected_answer_is_near_and_wrong() -> None:
    for row in rows("preferences", 2000):
        right, wrong_one = str(row["chosen"]), str(row["rejected"])
        assert len(right) == len(wrong_one)
        assert sum(a != b for a, b in zip(right, wrong_one, strict=True)) == 1
        assert str(int(wrong_one)) == wrong_one


def test_answers_stand_in_their_passages() -> None:
    values = set()
    for row in rows("spans", 500):
        first, last = stretch(row["answer"], str(row["passage"]))
        values.add(str(row["passage"])[first : last + 1])
    assert {"Lisbon", "piano tuner", "1984"} & values and len(values) > 60


def test_stretches_become_tokens(tmp_path: Path) -> None:
    data = made(tmp_path, SPANS, {"source": "spans", "size": 50}, {"type": "wordpiece", "vocab_size": 350})
    assert data.tokenizer is not None
    raw = rows("spans", 50)
    apart = SETS["spans"](50, 0).apart(0.1)
    kept = [row for row, held in zip(raw, apart, strict=True) if not held]
    for place, row in enumerate(kept):
        first, last = data.train.columns["answer"][place].tolist()
        tokens = data.train.columns["passage"][place][first : last + 1].tolist()
        begin, end = row["answer"]  # type: ignore[misc]
        assert data.tokenizer.decode(tokens) == str(row["passage"])[begin : end + 1]


def test_digits_are_scikit_learns() -> None:
    found = rows("digits", None)
    assert len(found) == 1797
    image = np.asarray(found[0]["image"])
    assert (image.shape, image.dtype, image.max(), found[0]["label"]) == ((1, 8, 8), np.uint8, 240, 0)


def test_a_picture_holds_the_digits_that_its_caption_names() -> None:
    assert np.asarray(rows("captions")[0]["image"]).shape == (1, 16, 16)
    assert rows("captions")[0]["caption"] == "two and five above three and three"


def test_tones_are_heard_where_they_are() -> None:
    found = rows("tones", 20)
    sound = np.asarray(found[0]["sound"])
    assert (sound.shape, sound.dtype) == ((80, 64), np.float32)
    loud = np.asarray([(np.asarray(row["sound"]).max(0) > 1).sum() for row in found])
    lengths = np.asarray([len(str(row["target"])) for row in found])
    assert np.corrcoef(loud, lengths)[0, 1] > 0.95


def test_whole_files_are_held_out_of_modules() -> None:
    source = SETS["modules"](None, 0)
    assert isinstance(source, Listed)
    apart = source.apart(0.1)
    groups = np.array(source.groups)
    assert not set(groups[apart]) & set(groups[~apart])
    assert 0.08 < apart.mean() < 0.12
    assert {row["label"] for row, held in zip(source.rows, apart, strict=True) if held} == {
        row["label"] for row in source.rows
    }
    assert not any(re.search(r"^\s*import ", str(row["text"])) for row in source.rows)


def test_docstrings_are_apart_from_their_code(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(sysconfig.get_path("stdlib"))
    monkeypatch.setattr("tfdsl.data.built_in.library.stdlib", lambda: [root / "linecache.py", root / "shutil.py"])
    found = {str(row["query"]): str(row["positive"]) for row in rows("docstrings", None)}
    assert len(found) > 20
    positive = found["Get a line for a Python source file from the cache."]
    assert positive.startswith("def getline(filename, lineno") and "Get a line" not in positive


def test_sets_are_prepared_by_name(tmp_path: Path) -> None:
    data = made(tmp_path, PAIRS, {"source": "reverse", "size": 100, "held_out": 0.2}, "characters")
    assert (len(data.train), len(data.held_out)) == (80, 20)
    assert texts(data.held_out, "source", data)[0][::-1] == texts(data.held_out, "target", data)[0]
    assert made(tmp_path, IMAGES, "digits").labels == tuple("0123456789")
    assert wrong(tmp_path / "x", IMAGES, {"source": "digits", "seed": 3}) == [
        ("train.data.seed", "R755", "`seed` is what a built-in set is drawn from: `digits` is what is not drawn")
    ]
    assert wrong(tmp_path / "x", IMAGES, "digit")[0][2] == "there is nothing at `digit`"
