"""A run folder, opened."""

from pathlib import Path
from typing import Any

from torch import Tensor

from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tfdsl.run import open_run
from tfdsl.training import checkpoint, train


class Worse(GPT):
    """A model that learns for 16 steps, and from then on says the opposite when it is measured."""

    def __init__(self, vocab: int, **fields: Any) -> None:
        super().__init__(vocab, **fields)
        self.passes = 0

    def forward(self, *given: Any) -> Tensor:
        self.passes += self.training
        scores = super().forward(*given)
        return scores if self.training or self.passes <= 16 else -100 * scores


def test_the_best_checkpoint_is_opened_and_a_damaged_one_named(tmp_path: Path) -> None:
    train(subject(wrap=Worse), chosen(tmp_path), tmp_path / "run")
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
    assert [(p.code, p.message) for p in problems] == [
        ("R706", f"`{tmp_path}` is no run folder: `spec.yaml` is missing")
    ]


def test_a_damaged_file_is_told_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(subject(), chosen(tmp_path, steps=1), folder)
    settings = (folder / "settings.json").read_text()
    for name, content, said in (
        ("settings.json", b"", "`settings.json` is empty"),
        ("settings.json", settings[:40].encode(), "`settings.json` is damaged: it is not JSON"),
        ("settings.json", b"[]", "`settings.json` is damaged: it holds no mapping"),
        ("settings.json", b"{}", "`settings.json` does not say what the model is"),
        ("settings.json", settings.replace('"train"', '"trial"').encode(), "`settings.json` is damaged"),
        ("tokenizer.json", b"{}", "`tokenizer.json` holds no tokenizer"),
        ("tokenizer.json", b"\xff", "`tokenizer.json` is damaged: it is not UTF-8 text"),
        ("tokenizer.json", None, "`tokenizer.json` is missing"),
        ("model.py", None, "`model.py` is missing"),
        ("foreign.json", b"{}", "`foreign.json` does not say which tokens end a text"),
    ):
        path = folder / name
        kept = path.read_bytes() if path.is_file() else None
        path.unlink() if content is None else path.write_bytes(content)
        run, problems = open_run(folder)
        assert run is None
        assert [each.code for each in problems] == ["R706"]
        assert problems[0].message.startswith(f"`{folder}` is no run folder: {said}")
        path.unlink(missing_ok=True) if kept is None else path.write_bytes(kept)
    assert open_run(folder)[0] is not None
