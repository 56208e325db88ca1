"""What of the `train` section would do nothing beside the rest of it, or something else than it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfdsl.settings.ranges import known
from tfdsl.settings.schedule import Falling

if TYPE_CHECKING:
    from tfdsl.settings.train import Train

WORDS = ("next_token", "seq2seq", "masked_token", "span_corruption")  # objectives with a softmax over words
WORDLESS = ("replaced_token", "preference")  # objectives without any softmax that a penalty could be of


@dataclass(frozen=True, slots=True)
class Idle:
    """A setting that is not honoured beside others: the fields that lead to it, why so, and what to do."""

    path: tuple[str | int, ...]
    message: str
    help: str


def idle(train: Train) -> Iterator[Idle]:
    """Find the settings that would do nothing: one rule below for each field that hangs on another."""
    for rule in RULES:
        yield from rule(train)


def _of_a_softmax(train: Train) -> Iterator[Idle]:
    word = train.objective.type_name
    if train.z_loss and word not in WORDS:
        message = f"`z_loss` is of a softmax over words, and `{word}` has none"
        yield Idle(("z_loss",), message, "leave `z_loss` out")
    if train.label_smoothing and word in WORDLESS:
        message = f"`label_smoothing` is of a softmax over words or classes, and `{word}` has none"
        yield Idle(("label_smoothing",), message, "leave `label_smoothing` out")


def _of_what_is_written(train: Train) -> Iterator[Idle]:
    word = train.objective.type_name
    if train.evaluate.generate is not None and word != "seq2seq":
        message = f"`generate` is of `seq2seq`: `{word}` writes nothing for a measurement"
        yield Idle(("evaluate", "generate"), message, "leave `evaluate.generate` out")


def _of_patience(train: Train) -> Iterator[Idle]:
    if train.evaluate.min_delta and train.evaluate.patience is None:
        message = "`min_delta` says what is better for `patience`, and that is not given"
        yield Idle(("evaluate", "min_delta"), message, "say how many measurements to wait: `patience: 5`")


def _of_a_fall(train: Train) -> Iterator[Idle]:
    low = train.schedule.minimum if isinstance(train.schedule, Falling) else None
    peak = train.optimizer.lr
    if low is not None and known(low, peak) and low > peak:
        message = f"the learning rate falls to `minimum`, {low:g}, from `lr`, {peak:g}, which is no fall"
        yield Idle(("schedule", "minimum"), message, "give a `minimum` of at most `optimizer.lr`")


def _of_processes(train: Train) -> Iterator[Idle]:
    if train.parallel == "fsdp" and train.optimizer.type_name == "adafactor":
        message = "PyTorch's `adafactor` does not run on weights that are parted over processes"
        yield Idle(("parallel",), message, "choose another optimiser, or `parallel: ddp`")


def _of_groups(train: Train) -> Iterator[Idle]:
    for place, group in enumerate(train.optimizer.groups):
        if group.lr is None and group.weight_decay is None and not group.freeze:
            message = f"nothing is said of the weights that match `{group.match}`"
            help_ = "give the group an `lr`, a `weight_decay` or `freeze: true`, or leave it out"
            yield Idle(("optimizer", "groups", place), message, help_)


RULES: tuple[Callable[[Train], Iterator[Idle]], ...] = (
    _of_a_softmax,
    _of_what_is_written,
    _of_patience,
    _of_a_fall,
    _of_processes,
    _of_groups,
)
