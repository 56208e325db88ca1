"""pool: one vector from all positions."""

from __future__ import annotations

from dataclasses import replace

from tfdsl.node import Node, Ports, Step, Work
from tfdsl.shapes import Tensor


class Pool(Node):
    """Makes one vector of a sequence: [B, T, D] -> [B, D]. Padding does not count."""

    family = "linear"

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        return replace(x, axes=(*x.axes[:-2], x.axes[-1]))

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None


class First(Pool, type="first"):
    """Takes the first position, as BERT and ViT do."""

    title = "First position"


class Last(Pool, type="last"):
    """Takes the last position that is not padding."""

    title = "Last position"


class Mean(Pool, type="mean"):
    """Takes the mean of the positions that are not padding."""

    title = "Mean over positions"


class Max(Pool, type="max"):
    """Takes the greatest value of each feature over the positions that are not padding."""

    title = "Maximum over positions"

    def work(self, step: Step) -> Work:
        return Work(kept=step.output.count)
