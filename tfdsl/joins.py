"""What `sum`, `multiply` and `concat` have in common: several pipes over the same value, joined."""

from __future__ import annotations

from typing import ClassVar

from tfdsl import look
from tfdsl.node import Pipe, Ports, Step, Work
from tfdsl.parts import Part, needed
from tfdsl.shapes import Tensor


class Join(Part):
    """Runs several pipes, each over the value before (or over what its first node reads), and joins their ends."""

    headline = "pipes"
    form: ClassVar[look.Form] = "fork"
    symbol: ClassVar[str]
    pipes: tuple[Pipe, ...] = needed(description="The pipes, each a list.")

    def ends(self, io: Ports) -> list[Tensor]:
        """Return where each pipe ends; the rule stops in silence where one is unknown."""
        if not self.pipes:
            io.fail("D109", f"`{io.name}` needs at least one pipe", "pipes")
        start = io.x if io.sources else None
        ends = [io.flow("pipes", start, index).end for index in range(len(self.pipes))]
        return [io.known(end) for end in ends]

    def alike(self, io: Ports, verb: str) -> Tensor:
        """Return the common shape of the pipes' ends, or report the first that differs."""
        first, *others = self.ends(io)
        for index, other in enumerate(others, 1):
            if other.sizes != first.sizes or other.dtype != first.dtype:
                io.fail(
                    "T204", f"`{io.name}` {verb} {first} and {other}", f"pipes.{index}", f"this pipe ends at {other}"
                )
            first = first.joined(other)
        return first

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None
