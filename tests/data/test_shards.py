"""Data prepared in shards: the same for any number of processes, after a kill, and damaged never."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.data.given import IMAGES, LABELLED, TEXT, prepared, wrong
from tfdsl import disk, settings
from tfdsl.data import manifest, shards
from tfdsl.data.asked import Asked
from tfdsl.data.prepare import prepare
from tfdsl.data.wanted import Wanted

ROOT = Path(__file__).parent.parent.parent


def asked(source: Path | str, wanted: Wanted = TEXT, tokenizer: str = "bytes", **data: object) -> Asked:
    given = settings.Data.model_validate({"source": str(source), **data})
    return Asked(given, settings.Tokenizer.model_validate(tokenizer), wanted, 400)


def folder_of_text(folder: Path, count: int = 12) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:02}.txt").write_text(f"document {number}\n" * (20 + number))
    return folder


def test_shards_are_the_same_tables_for_any_number_of_processes(tmp_path: Path) -> None:
    source = folder_of_text(tmp_path / "x")
    told: list[tuple[int, int]] = []
    one, _ = shards.prepare(asked(source, tokenizer="bpe"), tmp_path / "1", 1, 1000, lambda *each: told.append(each))
    two, _ = shards.prepare(asked(source, tokenizer="bpe"), tmp_path / "2", 2, 1000)
    whole, _ = prepare(*_parts(asked(source, tokenizer="bpe")), folder=tmp_path / "3")
    assert one is not None and two is not None and whole is not None
    assert one.digest == two.digest == whole.digest
    assert told == [(done, 3) for done in range(4)]
    assert sorted(path.name for path in (tmp_path / "1").iterdir()) == [
        "held_out",
        "manifest.json",
        "tokenizer.json",
        "train",
    ]


def _parts(given: Asked) -> tuple[settings.Data, settings.Tokenizer, Wanted, int]:
    return given.data, given.tokenizer, given.wanted, given.vocab


def test_a_lone_text_is_cut_into_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfdsl.data.text.PIECE", 500)
    monkeypatch.setattr("tfdsl.data.text.WINDOW", 100)
    (tmp_path / "x.txt").write_text("".join(f"line {number}\n" for number in range(900)))
    one, _ = shards.prepare(asked(tmp_path / "x.txt", tokenizer="bpe"), tmp_path / "1", 1, 1500)
    whole, _ = prepare(*_parts(asked(tmp_path / "x.txt", tokenizer="bpe")), folder=tmp_path / "2")
    assert one is not None and whole is not None
    assert one.digest == whole.digest
    assert (len(one.train), len(one.held_out)) == (1, 1)


def test_what_was_finished_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder_of_text(tmp_path / "x")
    whole, _ = shards.prepare(asked(source), tmp_path / "whole", 1, 1000)
    begun: list[int] = []
    write = shards._shard  # pyright: ignore[reportPrivateUsage]

    def cut(plan: object, stretch: shards.Stretch) -> object:
        begun.append(stretch.first)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return write(plan, stretch)  # type: ignore[arg-type]

    monkeypatch.setattr(shards, "_shard", cut)
    with pytest.raises(KeyboardInterrupt):
        shards.prepare(asked(source), tmp_path / "made", 1, 1000)
    assert not (tmp_path / "made").exists()
    made, _ = shards.prepare(asked(source), tmp_path / "made", 1, 1000)
    assert made is not None and whole is not None
    assert made.digest == whole.digest
    assert len(begun) == 3 + 1  # three shards: two were finished


def test_another_source_begins_anew(tmp_path: Path) -> None:
    source = folder_of_text(tmp_path / "x")
    aside = disk.part(tmp_path / "made")
    first, _ = shards.prepare(asked(source), tmp_path / "other", 1, 1000)
    disk.make(aside / "000000")
    (aside / "learnt.json").write_text(json.dumps({"key": "of something else"}))
    made, _ = shards.prepare(asked(source), tmp_path / "made", 1, 1000)
    assert made is not None and first is not None
    assert made.digest == first.digest


def test_a_kill_of_the_command_loses_no_shard(tmp_path: Path) -> None:
    source = folder_of_text(tmp_path / "x", 60)
    line = [sys.executable, "-m", "tfdsl", "prepare", str(source), "--tokenizer", "characters", "-o", "made"]
    script = "import sys; from tfdsl.data import shards; shards.prepare.__defaults__ = (1, 2000, shards.silent); "
    script += "shards.SHARD = 2000; from tfdsl.cli import start; sys.argv[0:1] = ['tfdsl']; start()"
    line = [sys.executable, "-c", script, *line[3:], "--workers", "1"]
    run = subprocess.Popen(line, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    aside = disk.part(tmp_path / "made")
    while not (aside / "000005").is_dir() and run.poll() is None:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    finished = {path.name: path.stat().st_mtime_ns for path in aside.glob("0*")}
    assert len(finished) >= 5
    made, _ = shards.prepare(asked(source, tokenizer="characters"), tmp_path / "again", 1, 2000)
    assert made is not None
    done = subprocess.run(line, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert done.returncode == 0
    assert manifest.opened(tmp_path / "made").digest == made.digest


def test_what_is_wrong_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    source = folder_of_text(tmp_path / "x")
    (source / "05.txt").write_bytes(b"\xff")
    for workers in (1, 2):
        made, problems = shards.prepare(asked(source), tmp_path / "made", workers, 1000)
        assert made is None
        assert [(place, each.code) for place, each in problems] == [("train.data.source", "R703")]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["x"]


def test_shapes_are_compared_between_shards(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(20):
        (tmp_path / "x" / f"{number % 2}").mkdir(parents=True, exist_ok=True)
        size = 9 if number % 2 else 8
        Image.fromarray(np.zeros((size, size), np.uint8)).save(tmp_path / "x" / f"{number % 2}" / f"{number}.png")
    from tfdsl.data.pictures import Pictures

    class Few(Pictures):
        def pieces(self, most: int) -> list[tuple[int, int]]:
            return [(first, first + 5) for first in range(0, 20, 5)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfdsl.data.pictures.Pictures", Few)
        made, problems = shards.prepare(asked(tmp_path / "x", IMAGES), tmp_path / "made")
    assert made is None
    assert [(each.code, each.message) for _, each in problems] == [
        ("R745", "`image` has the shape [1, 9, 9] in some examples, [1, 8, 8] in others")
    ]


def test_prepared_data_are_trained_from_where_they_lie(tmp_path: Path) -> None:
    source = folder_of_text(tmp_path / "x")
    whole, _ = shards.prepare(asked(source), tmp_path / "made of", 2, 1000)
    found, problems = prepared(tmp_path, TEXT, str(tmp_path / "made of"))
    assert problems == [] and found is not None and whole is not None
    assert found.digest == whole.digest
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["manifest.json"]
    assert manifest.opened(tmp_path / "made").digest == whole.digest
    values = tmp_path / "made of/train/text.values"
    content = bytearray(values.read_bytes())
    content[9] ^= 1
    values.write_bytes(content)
    with pytest.raises(manifest.Damaged, match="is not what was written: its SHA-256 sum is another"):
        manifest.opened(tmp_path / "made")
    values.unlink()
    with pytest.raises(manifest.Damaged, match="is missing"):
        manifest.opened(tmp_path / "made")


def test_other_data_than_a_run_began_with_are_refused(tmp_path: Path) -> None:
    source = folder_of_text(tmp_path / "x")
    shards.prepare(asked(source), tmp_path / "made of", 1, 1000)
    prepared(tmp_path, TEXT, str(tmp_path / "made of"))
    disk.clear(tmp_path / "made of")
    shards.prepare(asked(source, held_out=0.5), tmp_path / "made of", 1, 1000)
    with pytest.raises(manifest.Damaged, match="holds other data than those that the run"):
        manifest.opened(tmp_path / "made")


def test_what_was_settled_cannot_be_changed(tmp_path: Path) -> None:
    shards.prepare(asked(folder_of_text(tmp_path / "x")), tmp_path / "y", 1, 1000)
    name = str(tmp_path / "y")
    assert wrong(tmp_path, TEXT, {"source": name, "held_out": 0.5, "files": "*.md"}) == [
        ("train.data.files", "R755", "`files` was settled when `y` was prepared"),
        ("train.data.held_out", "R755", "`held_out` was settled when `y` was prepared"),
    ]
    assert wrong(tmp_path, TEXT, name, "characters") == [
        ("train.tokenizer", "R749", "`y` was prepared with the tokenizer `bytes`")
    ]
    assert wrong(tmp_path, LABELLED, name) == [
        ("train.data.source", "R749", "`y` was prepared with `text`, which is not what the objective reads")
    ]
    assert wrong(tmp_path, Wanted(TEXT.ways), name)[0][2] == (
        "`y` was prepared as one long text, with the end of each document marked, which is not what the objective reads"
    )
    assert wrong(tmp_path, TEXT, name, vocab=200) == [
        ("train.tokenizer", "R704", "the tokenizer makes 256 tokens, the model takes 200")
    ]
    assert wrong(tmp_path, Wanted(TEXT.ways, ("mask",), 3, whole=True), name) == [
        (
            "train.tokenizer",
            "R751",
            "the objective needs the mark `mask` and 3 numbered marks (it has 0), which the tokenizer does not have",
        )
    ]
