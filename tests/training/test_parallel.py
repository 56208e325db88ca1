"""Several processes are one: the same losses and weights, the same checkpoints, whatever their number."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tests.training.crew import crew
from tests.training.gpt import GPT
from tests.training.runs import chosen, subject
from tfdsl import disk, settings
from tfdsl.training import Outcome, Quiet, checkpoint, resume, train
from tfdsl.training.log import read
from tfdsl.training.processes import Processes


class Exact(GPT):
    """The small GPT in float64, so that only the order of a sum differs."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, layers=2, **fields)
        self.double()


MUON = 1e-4  # torch's Muon makes its steps orthogonal in bfloat16: parts are summed in it, and round otherwise


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in read(folder / "log.jsonl") if "loss" in entry]


def last(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of the last checkpoint of a run."""
    point = checkpoint.found(folder / "checkpoints")[0][-1]
    return point.weights() | point.moments()


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest difference between two checkpoints, which hold the same names; NaN where there is one."""
    assert one.keys() == other.keys()
    return float(torch.stack([(one[name] - other[name]).abs().max().double() for name in one]).max())


def trained(count: int, chosen: settings.Train, folder: Path, wrap: type[nn.Module] = Exact) -> list[Outcome]:
    """Train with `count` processes; return how it ended for each."""

    def work(rank: int) -> Outcome:
        outcome, problems = train(subject(dropout=0.0, wrap=wrap), chosen, folder)
        assert problems == []
        assert outcome is not None
        return outcome

    return [work(0)] if count == 1 else crew(count, work)


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_processes_train_as_one(tmp_path: Path, way: str) -> None:
    settings = chosen(tmp_path, steps=12, batch=5, accumulate=2, parallel=way, evaluate={"every": 6}, clip=0.1)
    one = trained(1, settings, tmp_path / "one")
    two = trained(2, settings, tmp_path / "two")
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-12)
    assert [each.loss for each in two] == [losses(tmp_path / "two")[-1]] * 2
    assert [each.held_out.loss for each in two if each.held_out] == pytest.approx([one[0].held_out.loss] * 2, rel=1e-12)  # type: ignore[union-attr]
    assert apart(last(tmp_path / "one"), last(tmp_path / "two")) < 1e-12


@pytest.mark.parametrize(
    ("fields", "near"),
    [
        ({"optimizer": {"type": "muon", "lr": 1e-2, "momentum": 0.9}}, MUON),
        ({"average": 0.9}, 1e-12),
        ({"optimizer": {"type": "muon", "lr": 1e-2}, "average": {"decay": 0.8}, "clip": 0.1}, MUON),
    ],
    ids=["muon", "average", "both"],
)
def test_two_with_their_parts_train_as_one(tmp_path: Path, fields: dict[str, Any], near: float) -> None:
    """Muon turns a whole matrix, of which each has a part; the average is measured, kept and taken up in parts."""
    settings = chosen(tmp_path, steps=8, batch=5, parallel="fsdp", evaluate={"every": 4}, **fields)
    one = trained(1, settings, tmp_path / "one")

    def work(rank: int) -> Outcome:
        model = subject(dropout=0.0, wrap=Exact)
        train(model, settings, tmp_path / "two", report=Stop(5))
        outcome, problems = resume(model, tmp_path / "two")
        assert problems == []
        assert outcome is not None
        return outcome

    two = crew(2, work)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=near)
    measured = [each.held_out.loss for each in (*one, *two) if each.held_out is not None]
    assert measured == pytest.approx([measured[0]] * 3, rel=near)
    assert apart(last(tmp_path / "one"), last(tmp_path / "two")) < 50 * near


class Stop(Quiet):
    """Send this process a SIGTERM after a step, as one of several is told to stop."""

    def __init__(self, step: int) -> None:
        self.step = step

    def stepped(self, step: int, loss: float, speed: float, done: float, left: float) -> None:
        """Send it when its step has come."""
        if step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_a_run_of_two_that_is_cut_goes_on_to_the_bit(tmp_path: Path, way: str) -> None:
    settings = chosen(tmp_path, steps=14, batch=4, parallel=way, evaluate={"every": 6}, checkpoint={"every": 4})

    def work(rank: int) -> tuple[str, int, str]:
        train(subject(dropout=0.2), settings, tmp_path / "straight")
        cut, _ = train(subject(dropout=0.2), settings, tmp_path / "cut", report=Stop(7))
        torch.manual_seed(99 + rank)
        again, _ = resume(subject(dropout=0.2), tmp_path / "cut")
        assert cut is not None and again is not None
        return cut.end, cut.step, again.end

    assert crew(2, work) == [("signal", 7, "steps")] * 2
    assert losses(tmp_path / "cut") == losses(tmp_path / "straight")
    assert apart(last(tmp_path / "cut"), last(tmp_path / "straight")) == 0


def test_a_checkpoint_of_two_goes_on_with_one_and_with_four_and_unparted(tmp_path: Path) -> None:
    whole = chosen(tmp_path, steps=10, batch=4, parallel="fsdp", evaluate={"final": False})
    trained(1, whole, tmp_path / "one")

    def begin(rank: int) -> None:
        train(subject(dropout=0.0, wrap=Exact), whole, tmp_path / "two", report=Stop(5))

    def end(rank: int) -> None:
        outcome, problems = resume(subject(dropout=0.0, wrap=Exact), tmp_path / "two")
        assert (problems, outcome is not None and outcome.step) == ([], 10)

    crew(2, begin)
    begun = checkpoint.found(tmp_path / "two" / "checkpoints")[0][-1]
    assert (begun.parted, begun.step) == (True, 5)
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "two", kept)
    for count, way in ((1, "fsdp"), (4, "fsdp"), (2, "ddp")):
        shutil.rmtree(tmp_path / "two")
        shutil.copytree(kept, tmp_path / "two")
        path = tmp_path / "two" / "settings.json"
        path.write_text(path.read_text().replace('"parallel": "fsdp"', f'"parallel": "{way}"'))
        crew(count, end) if count > 1 else end(0)
        assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-12)
        assert apart(last(tmp_path / "one"), last(tmp_path / "two")) < 1e-12


class Breaks(Exact):
    """A model whose feed-forward gives no number from the seventh pass on, in the second process alone."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.passes = 0
        self.layers[1].up.register_forward_hook(self.spoil)

    def spoil(self, module: nn.Module, given: object, output: Tensor) -> Tensor | None:
        """Count the passes of training, and spoil the later ones."""
        self.passes += self.training
        return output * float("nan") if self.passes > 7 and self.training and dist.get_rank() == 1 else None


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_a_number_that_is_none_in_one_process_ends_all_before_the_step(tmp_path: Path, way: str) -> None:
    settings = chosen(tmp_path, parallel=way, evaluate={"every": 100})

    def work(rank: int) -> tuple[str, int, list[str]]:
        outcome, problems = train(subject(dropout=0.0, wrap=Breaks), settings, tmp_path / "run")
        assert outcome is not None
        return outcome.end, outcome.step, [each.message for each in problems]

    said = "at step 7 the loss is nan, first in the output of `layers.1.up`; the step was not taken"
    assert crew(2, work) == [("diverged", 6, [said]), ("diverged", 6, [])]
    assert checkpoint.found(tmp_path / "run" / "checkpoints")[0][-1].step == 6


def test_a_disk_that_is_full_for_one_process_ends_all_with_one_message(tmp_path: Path) -> None:
    settings = chosen(tmp_path, parallel="fsdp", evaluate={"every": 100}, checkpoint={"every": 4})

    class Full(disk.System):
        """A disk on which the second process can hold nothing of the second checkpoint."""

        def sync(self, path: Path) -> None:
            if "step-00000004" in str(path) and path.name.startswith("shard-00002"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work(rank: int) -> tuple[str, list[str]]:
        disk.system = Full()
        outcome, problems = train(subject(dropout=0.0), settings, tmp_path / "run")
        assert outcome is not None
        return outcome.end, [each.message for each in problems]

    root = tmp_path / "run" / "checkpoints"
    said = f"the checkpoint of step 4 cannot be written into `{root}`: the disk is full"
    assert crew(2, work) == [("unsaved", [said]), ("unsaved", [])]
    assert [path.name for path in root.iterdir()] == ["step-00000000"]


def test_rows_of_all_processes_are_gathered_with_their_gradients() -> None:
    def work(rank: int) -> tuple[list[float], list[float]]:
        rows = torch.tensor([[1.0], [2.0]][: 1 + rank]) + 10 * rank
        rows.requires_grad_()
        processes = Processes(rank, 2)
        every = processes.gathered(rows)
        (every.square().sum() * (rank + 1)).backward()
        assert rows.grad is not None
        return every.flatten().tolist(), rows.grad.flatten().tolist()

    assert crew(2, work) == [([1.0, 11.0, 12.0], [6.0]), ([1.0, 11.0, 12.0], [66.0, 72.0])]


@pytest.mark.parametrize("way", ["auto", "fsdp"])
def test_recomputed_blocks_change_nothing(tmp_path: Path, way: str) -> None:
    plain = chosen(tmp_path, steps=6)
    again = chosen(tmp_path, steps=6, recompute="blocks", parallel=way)
    trained(1, plain, tmp_path / "plain")
    trained(1 if way == "auto" else 2, again, tmp_path / "again")
    assert losses(tmp_path / "again") == pytest.approx(losses(tmp_path / "plain"), rel=0 if way == "auto" else 1e-12)
