"""Prepared data that is not what was written is refused with a sentence that names the file, whatever became of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data.given import LABELLED, made
from tests.data.test_sources import jsonl
from tfdsl import settings
from tfdsl.data import join, manifest, prepare, shards
from tfdsl.data.asked import Asked

ROWS = [{"text": f"t{number}", "label": number % 2} for number in range(20)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    made(folder, LABELLED, str(jsonl(folder / "x.jsonl", ROWS)))
    return folder / "made"


def told(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return what changes a manifest, without its own sum: as an older one, which has none."""

    def write(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        del content["sha256"]
        change(content)
        (folder / "manifest.json").write_text(json.dumps(content))

    return write


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda at: flipped(at / "manifest.json"), "manifest.json"),
    (lambda at: (at / "manifest.json").write_bytes(b"\xff\xfe"), "manifest.json"),
    (lambda at: (at / "manifest.json").write_text("[" * 100_000), "manifest.json"),
    (lambda at: (at / "manifest.json").write_text('{"format": "tfdsl data 1"}'), "manifest.json"),
    (told(lambda content: content.pop("files")), "manifest.json"),
    (told(lambda content: content["train"]["text"].update(dtype="odd")), "manifest.json"),
    (told(lambda content: content["train"]["label"].update(shape=[7])), "manifest.json"),
    (told(lambda content: content.update(labels=3)), "manifest.json"),
    (lambda at: flipped(at / "train/text.values"), "text.values"),
    (lambda at: flipped(at / "tokenizer.json"), "tokenizer.json"),
    (lambda at: (at / "train/text.offsets").write_bytes(b""), "text.offsets"),
    (lambda at: (at / "held_out/label.values").unlink(), "label.values"),
    (lambda at: shutil.rmtree(at / "train"), "train"),
    (lambda at: manifest.point(at, at, "0"), "holds no data itself"),
]


@pytest.mark.parametrize(("damage", "name"), DAMAGES)
def test_what_is_damaged_is_named(tmp_path: Path, whole: Path, damage: Callable[[Path], object], name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    assert len(prepare.reopen(folder).train) == 18
    damage(folder)
    with pytest.raises(prepare.Damaged) as raised:
        prepare.reopen(folder)
    assert raised.value.diagnostic.code == "R748"
    assert name in raised.value.diagnostic.message


def test_a_manifest_of_something_else_is_no_prepared_folder(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "page"}')
    assert not manifest.holds(tmp_path)


@pytest.mark.parametrize("name", ["shard.json", "train/text.values", "learnt.json"])
def test_a_damaged_shard_is_written_again(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preparation that was killed is taken up with the shards that are what was written."""
    path = jsonl(tmp_path / "x.jsonl", ROWS * 40)
    asked = Asked(settings.Data.read(str(path)), settings.Tokenizer(), LABELLED, 400)
    with monkeypatch.context() as patched:
        patched.setattr(join, "join", _killed)
        with pytest.raises(KeyboardInterrupt):
            shards.prepare(asked, tmp_path / "made", shard=1)
    (aside,) = tmp_path.glob("*made*")
    shard = sorted(each for each in aside.iterdir() if each.is_dir())[1]
    flipped(aside / name if name == "learnt.json" else shard / name)
    found, problems = shards.prepare(asked, tmp_path / "made", shard=1)
    assert found is not None, problems
    other, _ = prepare.prepare(asked.data, asked.tokenizer, LABELLED, 400, folder=tmp_path / "other")
    assert other is not None
    assert other.train.columns["text"].values.tolist() == found.train.columns["text"].values.tolist()


def _killed(*_: object) -> object:
    raise KeyboardInterrupt
