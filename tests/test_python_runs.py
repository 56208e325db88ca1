"""Runs from Python: trained, taken up again, asked, and what is raised where that cannot be."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdsl
from tests.cli.test_train import SPEC
from tfdsl import RunError, SpecError
from tfdsl.reading.embed import Embedded
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


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "docs/python.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        exec(block, names)
    assert capsys.readouterr().out.splitlines() == [
        "64",
        "13472",
        '"""small.',
        "13472",
        "T211 33 features do not divide among 2 heads: 1 are left over",
        "small 12 13472 True",
        "4 True",
        "10",
    ]
    for name in (each for each in tfdsl.__all__ if each not in ("Checked", "Block", "Init", "Input", "Spec")):
        assert f"`{name}(" in page or f"`tfdsl.{name}`" in page, f"the page leaves {name} out"


def test_objects_say_what_they_are_on_a_line(trained: Run) -> None:
    generation = trained.generate(["the ", "a "], length=2, n=2, greedy=False)
    checked, where = tfdsl.check(trained.spec), str(trained.folder)
    (scored,) = trained.score("the cat")
    loss = trained.loss
    assert loss is not None
    assert repr(trained) == (
        f"Run({where!r}, small: 13,472 parameters, step 12, held out {loss:.3f} nats, context 32, vocabulary 257)"
    )
    assert repr(generation) == "Generation(2 prompts, 2 texts each, at most 2 tokens: temperature 1, draw)"
    assert repr(checked) == str(checked) == "Checked(small, '<text>': 0 errors, 0 warnings)"
    assert str(tfdsl.check("absent.yaml")).startswith("error[Y001]: cannot read `absent.yaml`")
    assert repr(tfdsl.cost(checked)).startswith("Cost(small at B = 1, T = 32: 13,472 parameters, ")
    assert repr(scored).startswith("Scored('the cat': ") and repr(scored).endswith(" bits a byte, 6 tokens)")
    vectors = Embedded(("a", "b", "c", "d"), np.zeros((4, 8), np.float32))
    assert repr(vectors) == "Embedded(4 vectors of 8: 'a', 'b', 'c', …)"


def test_what_was_checked_takes_settings_from_outside() -> None:
    checked = tfdsl.check(SPEC)
    assert tfdsl.check(checked) is checked
    assert tfdsl.check(checked, ["dims.d_model=64"]).dims["d_model"] == 64
    assert tfdsl.check(checked, "dims.d_model=64").dims["d_model"] == 64
    with pytest.raises(
        TypeError, match="a spec is a path, YAML text, a Spec, or what `check` returned, and not a dict"
    ):
        tfdsl.check({})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"window": 0}, "R840 `window` is 0, and is to be a whole number from 1 up"),
        ({"stride": -1}, "R840 `stride` is -1, and is to be a whole number from 1 up"),
        ({"weights": "int3"}, "R814 `weights` is 'int3'"),
    ],
)
def test_a_score_that_cannot_be(trained: Run, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(RunError) as error:
        trained.score("the cat", **asked)
    assert [f"{each.code} {each.message}" for each in error.value.diagnostics] == [said]


def test_a_sweep_that_cannot_be(tmp_path: Path) -> None:
    rates: Any = 1e-3
    with pytest.raises(RunError) as error:
        tfdsl.sweep(SPEC, tmp_path, {"train.optimizer.lr": rates}, seeds=0, jobs=0)
    assert [each.message for each in error.value.diagnostics] == [
        "the values of `train.optimizer.lr` are a list, and not 0.001",
        "`seeds` is a whole number from 1 up, and not 0",
        "`jobs` is a whole number from 1 up, and not 0",
    ]


def test_a_figure_is_text_that_saves_itself(tmp_path: Path) -> None:
    figure = tfdsl.draw(SPEC)
    figure.save(tmp_path / "small.dot")
    assert (tmp_path / "small.dot").read_text(encoding="utf-8") == figure
    with pytest.raises(tfdsl.DrawError, match="name it .svg, .png, .pdf or .dot"):
        figure.save(tmp_path / "small.gif")
