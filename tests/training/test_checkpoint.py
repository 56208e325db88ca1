"""Checkpoints: nothing acknowledged is lost to a kill, nothing damaged is read, tied weights are there once."""

import os
import random
import signal
import time
from pathlib import Path
from typing import BinaryIO, cast

import pytest
import torch
from torch import Tensor

from tests.kills import fork, kill
from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tfdsl import disk
from tfdsl.training import checkpoint, resume, train


def save(root: Path, step: int, weights: dict[str, Tensor] | None = None) -> Path:
    return checkpoint.save(
        root, step, weights or {"w": torch.full((3,), step)}, {"first.w": torch.ones(3)}, {"best": 1.5}
    )


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    save(tmp_path, 5)
    save(tmp_path, 10)
    whole, damaged = checkpoint.found(tmp_path)
    assert damaged == []
    assert [(point.step, point.state["best"], point.weights()["w"].tolist()) for point in whole] == [
        (5, 1.5, [5.0] * 3),
        (10, 1.5, [10.0] * 3),
    ]
    assert whole[0].moments()["first.w"].tolist() == [1.0] * 3


def test_tied_weights_are_saved_once(tmp_path: Path) -> None:
    model, other = GPT(11), GPT(11)
    weights = checkpoint.tensors(model)
    assert "tok.weight" in weights
    assert "head.weight" not in weights
    folder = save(tmp_path, 1, weights)
    assert (folder / checkpoint.WEIGHTS).stat().st_size < 4 * sum(w.numel() for w in model.parameters()) + 2000
    checkpoint.fill(other, checkpoint.found(tmp_path)[0][0].weights())
    assert other.head.weight is other.tok.weight
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not this model's: pos\.weight"):
        checkpoint.fill(GPT(11), checkpoint.tensors(GPT(11, context=8)))
    with pytest.raises(ValueError, match=r"not this model's: layers\.1\."):
        checkpoint.fill(GPT(11), checkpoint.tensors(GPT(11, layers=2)))


def test_any_flipped_bit_is_found(tmp_path: Path) -> None:
    folder = save(tmp_path, 5)
    chance = random.Random(0)
    missed = []
    for _ in range(200):
        path = folder / chance.choice([checkpoint.WEIGHTS, checkpoint.OPTIMIZER, checkpoint.STATE, checkpoint.MANIFEST])
        before = path.read_bytes()
        place, bit = chance.randrange(len(before)), chance.randrange(8)
        after = before[:place] + bytes([before[place] ^ (1 << bit)]) + before[place + 1 :]
        path.write_bytes(after)
        if not checkpoint.fault(folder) and (path.name != checkpoint.MANIFEST or not same_facts(before, after)):
            missed.append((path.name, place, bit))
        path.write_bytes(before)
    assert missed == []
    assert checkpoint.fault(folder) == ""


def same_facts(before: bytes, after: bytes) -> bool:
    """Tell whether a flip fell on the white space of the manifest, where it changes nothing."""
    return before.split() == after.split() or before.translate(None, b" \n") == after.translate(None, b" \n\t\r")


def test_a_damaged_one_is_named_and_the_one_before_is_there(tmp_path: Path) -> None:
    save(tmp_path, 5)
    path = save(tmp_path, 10) / checkpoint.WEIGHTS
    path.write_bytes(path.read_bytes()[:-1])
    whole, damaged = checkpoint.found(tmp_path)
    assert [point.step for point in whole] == [5]
    assert damaged == [f"`{path}` is damaged: its SHA-256 is not the one in the manifest"]
    save(tmp_path, 10)  # a damaged one is replaced
    assert [point.step for point in checkpoint.found(tmp_path)[0]] == [5, 10]


def test_pruning_leaves_the_named_ones(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        save(tmp_path, step)
    (tmp_path / ".step-00000020.part").mkdir()
    checkpoint.prune(tmp_path, {5, 15})
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["step-00000005", "step-00000015"]


def test_a_kill_at_any_moment_loses_no_acknowledged_checkpoint(tmp_path: Path) -> None:
    """Kill a process that saves without end, at random moments."""
    chance = random.Random(0)
    last = 0
    for _ in range(20):
        reading, writing = os.pipe()

        def work() -> None:
            for step in range(last + 1, last + 1000):  # noqa: B023
                weights = {"w": torch.full((200_000,), float(step))}
                checkpoint.save(tmp_path, step, weights, weights, {})
                checkpoint.prune(tmp_path, {step, step - 1})
                os.write(writing, f"{step}\n".encode())  # noqa: B023

        writer = fork(work)
        os.close(writing)
        time.sleep(chance.random() * 0.1)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        with os.fdopen(reading) as pipe:
            acknowledged = int((pipe.read().split() or [last])[-1])
        whole, damaged = checkpoint.found(tmp_path)
        assert damaged == []
        assert (whole[-1].step if whole else 0) >= acknowledged >= last
        if whole:
            assert whole[-1].weights()["w"].unique().tolist() == [float(whole[-1].step)]
            last = whole[-1].step
    assert last > 0


def test_thirty_kills_lose_nothing(tmp_path: Path) -> None:
    """The long form is `make kills`."""
    tally = kill(30, tmp_path)
    assert tally.kills == 30
    assert tally.acknowledged > 0


def test_a_full_disk_ends_a_run_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(disk.System):
        """A disk with room for no checkpoint after the second."""

        def mkdir(self, path: Path) -> None:
            self.full = path.name == ".step-00000010.part"
            super().mkdir(path)

        def open(self, path: Path, mode: str) -> BinaryIO:
            file = super().open(path, mode)
            if not getattr(self, "full", False) or path.name != checkpoint.OPTIMIZER:
                return file
            file.close()
            return cast(BinaryIO, Path("/dev/full").open(mode, buffering=0))

    monkeypatch.setattr(disk, "system", Full())
    folder = tmp_path / "run"
    cut, problems = train(subject(), chosen(tmp_path), folder)
    assert cut is not None
    assert (cut.end, cut.step) == ("unsaved", 10)
    said = f"the checkpoint of step 10 cannot be written into `{folder / 'checkpoints'}`: the disk is full"
    assert [(each.code, each.message) for each in problems] == [("R761", said)]
    assert problems[0].help == "step 8 is saved: make room, then take the run up again with `--resume`"
    assert [path.name for path in (folder / "checkpoints").iterdir() if path.name.startswith(".")] == []
    monkeypatch.undo()
    again, _ = resume(subject(), folder)
    straight, _ = train(subject(), chosen(tmp_path), tmp_path / "straight")
    assert again is not None and straight is not None
    assert (again.loss, again.held_out) == (straight.loss, straight.held_out)
