"""Runs from Python: trained, taken up again, asked, and what is raised where that cannot be."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

import tfdsl
from tests.cli.test_train import SPEC
from tfdsl import RunError, SpecError
from tfdsl.run import Run
from tfdsl.training import loop


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run, in a folder with its text."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text("the cat sat on the mat, and the dog ate the hat. " * 200)
    return tfdsl.train(text(folder), folder / "run")


def text(folder: Path) -> str:
    """Return a small spec on the text in a folder."""
    return SPEC.replace("data: text.txt", f"data: {folder / 'text.txt'}")


def test_a_run_that_a_signal_ended_is_taken_up_again(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = loop.Loop.advance

    def stopped(self: loop.Loop) -> None:
        advance(self)
        if self.step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "advance", stopped)
        with pytest.raises(KeyboardInterrupt) as stop:
            tfdsl.train(text(trained.folder.parent), tmp_path / "run")
    assert str(stop.value) == f"the run is saved after 7 steps: go on with tfdsl.resume('{tmp_path / 'run'}')"
    again = tfdsl.resume(tmp_path / "run")
    assert again.checkpoint.step == trained.checkpoint.step
    mine, other = again.checkpoint.weights(), trained.checkpoint.weights()
    assert all(mine[name].equal(weight) for name, weight in other.items())
    assert tfdsl.resume(tmp_path / "run").checkpoint.step == again.checkpoint.step  # it is at its end


def test_what_is_no_run_is_not_taken_up(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        tfdsl.resume(tmp_path)
    assert str(error.value) == (f"\nerror[R706]: `{tmp_path}` holds no run to take up\nhelp: `tfdsl.train` makes one\n")
    with pytest.raises(SpecError) as unread:
        tfdsl.train(trained.folder, tmp_path / "other")
    assert unread.value.diagnostics[0].help == (
        f"a run's folder: its spec is `{trained.folder / 'spec.yaml'}`; `tfdsl train {trained.folder} --resume` "
        "(in Python `tfdsl.resume`) takes the run up again"
    )


def test_messages_name_the_arguments_of_python(trained: Run) -> None:
    with pytest.raises(RunError) as error:
        tfdsl.train(text(trained.folder.parent), trained.folder)
    assert str(error.value) == (
        f"\nerror[R707]: `{trained.folder}` already holds a run\n"
        "help: take it up again with `tfdsl.resume`, or choose another folder\n"
    )
    assert error.value.diagnostics[0].help == "take it up again with `--resume`, or choose another folder with `-o`"


def test_a_folder_that_cannot_be_written_is_told(trained: Run, tmp_path: Path) -> None:
    shutil.copy(trained.folder / "spec.yaml", tmp_path / "file")
    with pytest.raises(RunError) as error:
        tfdsl.train(text(trained.folder.parent), tmp_path / "file/run")
    assert str(error.value) == (
        f"\nerror[R761]: the run cannot be written into `{tmp_path / 'file/run'}`: not a directory\n"
        "help: make room there, or choose another folder\n"
    )


def test_names_are_completed_before_anything_is_imported() -> None:
    assert set(tfdsl.__all__) <= set(dir(tfdsl))
    assert all(getattr(tfdsl, name) is not None for name in dir(tfdsl))
    assert not {"Any", "HOMES", "TYPE_CHECKING", "importlib"} & set(dir(tfdsl))
