"""What an objective does with a model and its data: the question that the loop asks, whatever is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tfdsl.data.table import Prepared, Table
from tfdsl.data.wanted import Wanted
from tfdsl.diagnostics import Diagnostic
from tfdsl.training.processes import Processes

Model = Callable[..., Any]
HELD_OUT = -1  # the epoch of a measurement: all examples in order, and always the same draws


@dataclass(frozen=True, slots=True)
class Place:
    """An example as the order of a run knows it: the `index`-th of its `epoch`, on which its draws depend."""

    epoch: int
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Examples as tensors: `inputs` by the model's own names, `targets` as the task reads them.

    `count` is what the mean loss is over (targets that count, or rows), `tokens` how many positions the model reads.
    """

    inputs: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]
    count: int
    tokens: int

    def to(self, device: Any) -> Batch:
        """Return the batch on a device."""
        inputs = {name: each.to(device, non_blocking=True) for name, each in self.inputs.items()}
        targets = {name: each.to(device, non_blocking=True) for name, each in self.targets.items()}
        return Batch(inputs, targets, self.count, self.tokens)


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement on held-out examples: the mean `loss` over `count` targets, and other `figures` by name.

    Figures are named as people say them: `bits a byte`, `perplexity`, `accuracy`, `F1`, `exact match`, `recall at 1`.
    """

    loss: float
    count: int
    figures: Mapping[str, float] = field(default_factory=dict[str, float])


class Task(ABC):
    """An objective bound to a model's inputs and outputs.

    All that is drawn at random (masks, spans, shifts) is a function of the seed and the place, so that it is the same
    for any number of processes, and again after a kill.
    """

    begins_trained: ClassVar[bool] = False  # whether it makes sense only of a model that was trained before

    @property
    @abstractmethod
    def wanted(self) -> Wanted:
        """Return what the data must have."""

    @abstractmethod
    def against(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        """Return what in the data does not fit the model, each with the place in the spec that it is about.

        Too many words or classes, examples too long, images of another shape: `("train.context", Diagnostic(…))`.
        """

    @abstractmethod
    def open(self, data: Prepared) -> None:
        """Take the data that was found to fit, before the first batch."""

    def remarks(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        """Return what is worth a word of data that fit, each with the place in the spec that it is about."""
        return []

    def begin(self, model: nn.Module, data: Prepared, folder: Path, fresh: bool) -> None:
        """See the model as a run begins, in evaluation; what must be known of it is kept in the run's `folder`.

        `fresh` says that the run begins; one that is taken up again reads what was kept.
        """
        return None

    def about(self) -> Mapping[str, Any]:
        """Return what a run keeps of the open data in its settings, so that more of it can be read in the same way."""
        return {}

    def join(self, processes: Processes) -> None:
        """Take the processes that train together, where a loss needs more than its own share of a pass."""
        return None

    @abstractmethod
    def examples(self, table: Table, epoch: int) -> int:
        """Return how many examples an epoch of `table` has; that of `HELD_OUT` has each part of it once."""

    def lengths(self, table: Table) -> NDArray[np.int64] | None:
        """Return how long each example of an epoch is, so that those of like length come together; None: as they come.

        Every epoch of `table` then has these examples.
        """
        return None

    @abstractmethod
    def batch(self, table: Table, places: Sequence[Place]) -> Batch:
        """Return the examples at `places` as tensors."""

    @abstractmethod
    def loss(self, model: Model, batch: Batch) -> Tensor:
        """Return the loss summed over the `count` of the batch, in nats."""

    @abstractmethod
    def measure(self, model: Model, batches: Iterable[Batch], processes: Processes) -> Measured:
        """Return what held-out `batches` (this process's share of them) come to, over all processes."""
