"""Files are whole or not there, and what cannot be written is said in a sentence."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tfdsl import disk
from tfdsl.cli.output import Stop, write


def refusal(path: str, data: bytes = b"new", overwrite: bool = True) -> tuple[str, int]:
    """Return what `write` says when it refuses, and the exit code."""
    with pytest.raises(Stop) as stop:
        write(path, data, overwrite)
    return stop.value.message, stop.value.code


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x.svg"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write(str(path), b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)
    assert [each.name for each in tmp_path.iterdir()] == ["x.svg"]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(str(tmp_path / "x.svg"), "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.svg").stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write(str(link), b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.svg"
    path.write_bytes(b"old")

    def full(self: disk.System, old: Path, new: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.System, "rename", full)
    assert refusal(str(path)) == (f"cannot write `{path}`: the disk is full", 2)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["x.svg"]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    there = tmp_path / "there.yaml"
    there.write_text("kept")
    absent = tmp_path / "absent"
    assert refusal(str(folder)) == (
        f"cannot write `{folder}`: it is a folder. Name a file in it, such as {folder}/out",
        2,
    )
    assert refusal(f"{absent}/x.svg") == (
        f"cannot write `{absent}/x.svg`: the folder `{absent}` is not there. Make it first: mkdir -p {absent}",
        2,
    )
    assert refusal(str(there), overwrite=False) == (
        f"`{there}` is already there, and is left as it is. Name another file, or remove that one first",
        2,
    )
    assert there.read_text() == "kept"
    assert refusal(f"{there}/x.svg") == (f"cannot write `{there}/x.svg`: not a directory", 2)
    assert refusal("a\0b") == ("cannot write `a\0b`: embedded null byte", 2)
    assert refusal(f"{tmp_path}/{'x' * 300}") == (f"cannot write `{tmp_path}/{'x' * 300}`: file name too long", 2)


def test_devices_are_written_to_and_not_replaced() -> None:
    write("/dev/null", b"new")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert refusal("/dev/full") == ("cannot write `/dev/full`: the disk is full", 2)
