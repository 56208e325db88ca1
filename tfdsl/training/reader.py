"""What turns fields of examples into inputs of a model: one for texts, one for images; objectives use either."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from tfdsl.data.table import Prepared, Table
from tfdsl.data.wanted import Field, Mark
from tfdsl.diagnostics import Diagnostic
from tfdsl.training.task import Place


class Reader(ABC):
    """Reads some `fields` of an example; `marks` are those that it puts among tokens."""

    fields: tuple[Field, ...]
    marks: tuple[Mark, ...] = ()

    @abstractmethod
    def against(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        """Return what in the data does not fit the model, each with its place in the spec."""

    @abstractmethod
    def open(self, data: Prepared) -> None:
        """Take the data, before the first batch."""

    @abstractmethod
    def inputs(self, table: Table, places: Sequence[Place]) -> Mapping[str, Tensor]:
        """Return the examples at `places` by the names of the model's inputs, in the order of its `forward`."""

    def remarks(self, data: Prepared) -> list[tuple[str, Diagnostic]]:
        """Return what is worth a word of data that fit, each with its place in the spec."""
        return []

    def about(self) -> Mapping[str, Any]:
        """Return what has to be known of the data to read more of it in the same way."""
        return {}


def positions(inputs: Mapping[str, Tensor]) -> int:
    """Return how many positions a model reads: the tokens of a text, one of an image."""
    return max((each.numel() if each.dim() == 2 else len(each) for each in inputs.values()), default=0)
