"""What is written is whole or not there: at a failure, and after a power loss at any moment."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from tests.forgetful import Recorder, lay, losses
from tfdsl import disk
from tfdsl.training import checkpoint
from tfdsl.weights.pack import pack

LOSSES = int(os.environ.get("TFDSL_LOSSES", "12"))  # tried after each thing that is asked of the disk


def saves(root: Path, system: disk.System, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Save four checkpoints, pruning as the trainer does; return how much was asked when each was acknowledged."""
    monkeypatch.setattr(disk, "system", system)
    done: list[tuple[int, int]] = []
    for step in range(1, 4):
        weights = {"w": torch.full((64,), float(step))}
        checkpoint.save(root / "run" / "checkpoints", step, weights, weights, {"best": step})
        assert isinstance(system, Recorder)
        done.append((len(system.asked), step))
        checkpoint.prune(root / "run" / "checkpoints", {step, step - 1})
    return done


def lost(root: Path, system: Recorder, acknowledged: list[tuple[int, int]], folder: Path) -> list[str]:
    """Return what power losses took away that had been acknowledged, or left damaged under a checkpoint's name."""
    wrong: list[str] = []
    for done, left in losses(system.asked, root, LOSSES):
        lay(left, folder)
        whole, damaged = checkpoint.found(folder / "run" / "checkpoints")
        promised = max((step for asked, step in acknowledged if asked <= done), default=0)
        last = whole[-1].step if whole else 0
        if last < promised or damaged or (whole and whole[-1].weights()["w"].unique().tolist() != [float(last)]):
            wrong.append(f"after {done} ({system.asked[done - 1][0]}): {last} of {promised}, {damaged}")
        shutil.rmtree(folder)
    return wrong


def test_no_power_loss_takes_an_acknowledged_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, root = Recorder(), tmp_path / "disk"
    root.mkdir()
    acknowledged = saves(root, system, monkeypatch)
    assert lost(root, system, acknowledged, tmp_path / "left") == []


@pytest.mark.parametrize("forgotten", ["files", "folders"])
def test_without_a_sync_some_are_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str) -> None:
    """The test above can fail."""
    system, root = Recorder(), tmp_path / "disk"
    root.mkdir()
    acknowledged = saves(root, system, monkeypatch)
    done = len(system.asked)
    system.asked = [
        ("nothing", path, more)
        if verb == "sync" and (forgotten == "files") == bool(path.suffix)
        else (verb, path, more)
        for verb, path, more in system.asked
    ]
    assert len(system.asked) == done
    assert lost(root, system, acknowledged, tmp_path / "left") != []


def test_a_file_is_the_old_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, root = Recorder(), tmp_path / "disk"
    root.mkdir()
    monkeypatch.setattr(disk, "system", system)
    disk.write(root / "a.json", "old" * 100)
    first = len(system.asked)
    disk.write(root / "a.json", [b"new", memoryview(b"er" * 100)])
    last = len(system.asked)
    seen: set[object] = set()
    for done, left in losses(system.asked, root, 40):
        text = left.get("a.json")
        allowed = {b"old" * 100, b"new" + b"er" * 100} | ({None} if done < first else set())
        assert text in (allowed if done < last else {b"new" + b"er" * 100})
        seen.add(text)
    assert len(seen) == 3


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="the disk is asked in another way there")
def test_what_is_synced_is_asked_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `Recorder` notes what is asked of it: this is what the real one does then, for a file and for a folder."""
    held: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: held.append(os.fstat(handle).st_ino))
    monkeypatch.setattr(disk, "system", disk.System())
    disk.write(tmp_path / "a", "text")
    assert held == [(tmp_path / "a").stat().st_ino, tmp_path.stat().st_ino]


def test_a_synced_line_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, root = Recorder(), tmp_path / "disk"
    root.mkdir()
    monkeypatch.setattr(disk, "system", system)
    disk.append(root / "log", "one\n", sync=True)
    kept = len(system.asked)
    disk.append(root / "log", "two\n")
    for done, left in losses(system.asked, root, 20):
        text = left.get("log", b"")
        assert isinstance(text, bytes)
        assert done < kept or text[:4] == b"one\n"
    assert (root / "log").read_text() == "one\ntwo\n"


def test_what_fails_leaves_nothing_and_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), disk.folder(tmp_path / "new" / "run") as aside:
        disk.put(aside / "spec.yaml", "half")
        raise ZeroDivisionError
    assert list((tmp_path / "new").iterdir()) == []
    disk.write(tmp_path / "a", "old")

    def broken() -> object:
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        disk.write(tmp_path / "a", broken())  # type: ignore[arg-type]
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "new"]


def test_a_folder_in_the_way_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("kept")
    with pytest.raises(OSError, match="not empty"), disk.folder(tmp_path / "run") as aside:
        disk.put(aside / "x", "new")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "run"]
    with pytest.raises(NotADirectoryError):
        disk.make(tmp_path / "run" / "mine" / "deeper")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EACCES, "permission denied"),
    ],
)
def test_what_is_wrong_is_said_in_words(number: int, said: str) -> None:
    assert disk.reason(OSError(number, os.strerror(number), "x")) == said


def test_packed_tensors_are_safetensors(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file

    tensors = {
        "a": torch.randn(3, 5),
        "half": torch.randn(4, dtype=torch.bfloat16),
        "step": torch.tensor(7.0, dtype=torch.float64),
        "none": torch.zeros(0, 3),
        "turned": torch.arange(6).reshape(2, 3).T,
        "yes": torch.tensor([True, False]),
    }
    disk.write(tmp_path / "x.safetensors", pack(tensors, {"format": "pt"}))
    read = load_file(tmp_path / "x.safetensors")
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in tensors.items())
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert json.loads((tmp_path / "x.safetensors").read_bytes()[8:].partition(b"}}")[0] + b"}}")["__metadata__"]


def test_a_secret_is_its_owners_and_stays_as_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "state" / "seal"
    assert disk.secret(path, b"first") == disk.secret(path, b"second") == path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["seal"]
