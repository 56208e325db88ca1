"""Checkpoints: nothing acknowledged is lost to a kill, nothing damaged is read, tied weights are there once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tfdsl.training import checkpoint, resume, train

KILLS = int(os.environ.get("TFDSL_KILLS", "4"))


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


WRITER = """
import sys, torch
from pathlib import Path
from tfdsl.training import checkpoint
torch.set_num_threads(1)
root, first = Path(sys.argv[1]), int(sys.argv[2])
for step in range(first, first + 1000):
    weights = {"w": torch.full((200_000,), float(step))}
    checkpoint.save(root, step, weights, weights, {})
    checkpoint.prune(root, {step, step - 1})
    print(step, flush=True)
"""


def test_a_kill_at_any_moment_loses_no_acknowledged_checkpoint(tmp_path: Path) -> None:
    """Kill a process that saves without end, at random moments; TFDSL_KILLS=300 for the long form."""
    chance = random.Random(0)
    last = 0
    for _ in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(last + 1)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(chance.random() * 0.1)
        writer.send_signal(signal.SIGKILL)
        acknowledged = int((writer.stdout.read().splitlines() or [acknowledged])[-1])
        writer.stdout.close()
        writer.wait()
        whole, damaged = checkpoint.found(tmp_path)
        assert damaged == []
        assert whole[-1].step >= acknowledged > last
        assert whole[-1].weights()["w"].unique().tolist() == [float(whole[-1].step)]
        last = whole[-1].step


TRAINER = """
import sys, torch
from pathlib import Path
from tests.training.runs import chosen, subject
from tfdsl.training import train
folder = Path(sys.argv[1])
train(subject(), chosen(folder, steps=120), folder / "run")
"""


def test_a_killed_run_is_taken_up_again_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Kill a training process at a random moment after its first checkpoint, as often as TFDSL_KILLS says in four."""
    chance = random.Random(1)
    straight, _ = train(subject(), chosen(tmp_path, steps=120), tmp_path / "straight")
    assert straight is not None
    for trial in range(max(1, KILLS // 4)):
        folder = tmp_path / str(trial)
        folder.mkdir()
        trainer = subprocess.Popen([sys.executable, "-c", TRAINER, str(folder)])
        while trainer.poll() is None and not checkpoint.found(folder / "run" / "checkpoints")[0]:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.4)
        trainer.kill()
        trainer.wait()
        again, problems = resume(subject(), folder / "run")
        assert problems == []
        assert again is not None
        assert (again.step, again.held_out) == (120, straight.held_out)
