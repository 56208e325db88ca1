"""What the machine has: the limits of control groups, and a step that is far beyond all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.test_meter import SPEC
from tfdsl import public, settings
from tfdsl.training import needs, room, subject, train
from tfdsl.training.needs import Need


def test_the_limits_of_the_groups_that_a_process_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most, now in (("slice", "1000000", "400000"), ("slice/own", "max", "300000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.max").write_text(f"{most}\n")
        (tmp_path / name / "memory.current").write_text(f"{now}\n")
        (tmp_path / name / "memory.stat").write_text("anon 5\ninactive_file 100000\n")
    monkeypatch.setattr(room, "GROUPS", tmp_path)
    monkeypatch.setattr(room, "_above", lambda root, kind: iter([tmp_path / "slice/own", tmp_path / "slice"]))
    assert room.free() == 700000  # what was read from files can be had
    whole = room.whole()
    assert whole is not None and whole >= 1000000


def test_the_batch_that_fits_is_told() -> None:
    def needed(rows: int) -> Need:
        return Need(1 << 20, 1 << 20, 2 << 20, rows << 20, 0, 0, 0)

    (far,) = needs.refuse(needed, 64 << 20, 128 << 20, settings.Train(batch=1000, accumulate=3), None)
    assert far.message == "a step needs about 1,004.0 MiB of memory, and the machine has 128.0 MiB in all"
    assert far.help.startswith("`train.batch` 32 fits; with `train.accumulate` 94 a step takes as many examples. ")
    assert needs.refuse(needed, 64 << 20, 128 << 20, settings.Train(batch=250), None) == []
    assert needs.refuse(needed, 64 << 20, 128 << 20, settings.Train(batch=1000, memory="any"), None) == []
    (hopeless,) = needs.refuse(needed, 4 << 20, 8 << 20, settings.Train(batch=1000), None)
    assert hopeless.help.startswith("even one example a pass does not fit")


def test_a_batch_of_millions_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 60)
    checked = public.sound(SPEC, [f"train.data={tmp_path / 'text.txt'}", "train.batch=100000000000"])
    outcome, problems = train(subject.of(checked), checked.train, tmp_path / "run")
    assert outcome is None
    assert [each.code for each in problems] == ["R881"]
    assert not (tmp_path / "run").exists()
