"""A run folder, opened."""

from pathlib import Path

from tests.training.runs import chosen, subject
from tfdsl.run import open_run
from tfdsl.training import checkpoint, train


def test_the_best_checkpoint_is_opened_and_a_damaged_one_named(tmp_path: Path) -> None:
    train(subject(), chosen(tmp_path, optimizer={"lr": 3.0}, schedule={"type": "constant"}), tmp_path / "run")
    steps = {point.step: point for point in checkpoint.found(tmp_path / "run" / "checkpoints")[0]}
    run, _ = open_run(tmp_path / "run")
    last, _ = open_run(tmp_path / "run", best=False)
    assert run is not None
    assert last is not None
    assert (run.checkpoint.step, last.checkpoint.step) == (16, 20)
    path = steps[16].folder / checkpoint.WEIGHTS
    path.write_bytes(b"")
    other, problems = open_run(tmp_path / "run")
    assert other is not None
    assert other.checkpoint.step == 20
    assert [p.message for p in problems] == [f"`{path}` is damaged: its SHA-256 is not the one in the manifest"]


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    run, problems = open_run(tmp_path)
    assert run is None
    assert [(p.code, p.message, p.label) for p in problems] == [
        ("R706", f"`{tmp_path}` is no run folder", "`spec.yaml` is missing")
    ]
