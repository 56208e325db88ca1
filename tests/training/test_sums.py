"""A run's own files: one that was changed is named, and a run that saved nothing yet begins."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.runs import chosen, subject
from tfdsl import run as runs
from tfdsl.diagnostics import Diagnostic
from tfdsl.training import checkpoint, resume, sums, train

CHANGED = "`{}` was changed: its SHA-256 is not the one that the run's checkpoint holds"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of few steps, to be copied."""
    folder = tmp_path_factory.mktemp("ended")
    train(subject(), chosen(folder, steps=4), folder / "run")
    yield folder / "run"


@pytest.fixture
def run(ended: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(ended, tmp_path / "run"))


def said(found: list[Diagnostic]) -> list[tuple[str, str]]:
    return [(each.code, each.message) for each in found]


def weights(folder: Path) -> bytes:
    return (checkpoint.found(folder / "checkpoints")[0][-1].folder / checkpoint.WEIGHTS).read_bytes()


def test_a_run_that_saved_nothing_yet_begins(run: Path) -> None:
    before, log = weights(run), run / "log.jsonl"
    shutil.rmtree(run / "checkpoints")
    log.write_text("")
    outcome, found = resume(subject(), run)
    assert outcome is not None
    message = f"`{run}` was stopped before it saved anything: it begins at its first step"
    assert (outcome.step, said(found)) == (4, [("W634", message)])
    assert weights(run) == before


def test_what_was_trained_is_never_begun_again(run: Path) -> None:
    """A log that goes further than its checkpoints, damaged checkpoints, and weights that another run gave."""
    anew = f"tfdsl train {run / 'spec.yaml'} --data {run / 'data'} -o OTHER"
    help_ = f"nothing was changed; put one back, or begin another run with its spec and its data: {anew}"
    for path in run.glob("checkpoints/*/state.json"):
        path.write_text("{}")
    outcome, found = resume(subject(), run)
    assert (outcome, {each.code for each in found}) == (None, {"W571", "R706"})
    assert (found[-1].message, found[-1].help) == (f"`{run}` holds no whole checkpoint to take up", help_)
    shutil.rmtree(run / "checkpoints")
    log = (run / "log.jsonl").read_bytes()
    outcome, found = resume(subject(), run)
    message = f"`{run}` holds no whole checkpoint to take up, and its log goes to step 4"
    assert (outcome, said(found), found[-1].help) == (None, [("R706", message)], help_)
    assert (run / "log.jsonl").read_bytes() == log


def test_weights_of_another_run_are_not_drawn_anew(tmp_path: Path) -> None:
    train(replace(subject(), trained=True), chosen(tmp_path, steps=1), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "log.jsonl").unlink()
    outcome, found = resume(subject(), tmp_path / "run")
    message = f"`{tmp_path / 'run'}` was stopped before it saved the weights that it started from"
    assert (outcome, said(found)) == (None, [("R706", message)])
    assert found[0].help is not None and found[0].help.endswith("-o OTHER --from RUN")


@pytest.mark.parametrize("name", ["spec.yaml", "settings.json", "tokenizer.json"])
def test_a_run_of_which_a_file_was_changed_is_not_taken_up(run: Path, name: str) -> None:
    path = run / name
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b'"lr": 0.01', b'"lr": 0.02') if name == "settings.json" else kept + b"\n")
    before = sorted((each, each.read_bytes()) for each in run.rglob("*") if each.is_file())
    outcome, found = resume(subject(), run)
    assert (outcome, said(found)) == (None, [("R882", CHANGED.format(path))])
    assert before == sorted((each, each.read_bytes()) for each in run.rglob("*") if each.is_file())
    opened, found = runs.open_run(run)
    assert (opened is None) == (name == "tokenizer.json")
    assert said(found) == [("R882" if opened is None else "W633", CHANGED.format(path))]


def test_the_examples_of_another_run_are_not_taken(run: Path) -> None:
    path = run / "data" / "manifest.json"
    path.write_bytes(path.read_bytes() + b"\n")
    outcome, found = resume(subject(), run)
    assert (outcome, said(found)) == (None, [("R882", CHANGED.format(path))])
    assert said(runs.open_run(run)[1]) == []  # which is asked without them


def test_a_file_that_is_gone_is_named(run: Path) -> None:
    state = checkpoint.found(run / "checkpoints")[0][-1].state
    (run / "tokenizer.json").unlink()
    assert said(sums.opened(run, state)) == [("R882", f"`{run / 'tokenizer.json'}` is missing")]


def test_another_machine_may_take_a_run_up(run: Path) -> None:
    path = run / "settings.json"
    kept = json.loads(path.read_text())
    kept["train"] |= {"memory": "any", "parallel": "fsdp"}
    kept["sample"]["prompt"] = "the"
    path.write_text(json.dumps(kept))
    assert said(runs.open_run(run)[1]) == said(resume(subject(), run)[1]) == []


def test_a_run_that_had_ended_is_left_as_it_is(run: Path) -> None:
    before = sorted((each, each.read_bytes()) for each in run.rglob("*") if each.is_file())
    outcome, found = resume(subject(), run)
    assert outcome is not None and outcome.held_out is not None
    assert (outcome.end, outcome.step, outcome.before, found) == ("steps", 4, True, [])
    assert before == sorted((each, each.read_bytes()) for each in run.rglob("*") if each.is_file())


def test_an_older_run_has_no_sums(run: Path) -> None:
    (run / "spec.yaml").write_text((run / "spec.yaml").read_text() + "\n")
    assert (sums.opened(run, {}), sums.taken_up(run, {})) == ([], [])
