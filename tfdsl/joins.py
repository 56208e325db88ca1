"""What `sum`, `multiply` and `concat` have in common: several values joined, of pipes or by their names."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import ClassVar

from pydantic import Field

from tfdsl import look
from tfdsl.node import Pipe, Ports, Step, Work, Writer
from tfdsl.parts import Names, Part
from tfdsl.shapes import Axis, Tensor


class Join(Part):
    """Runs several pipes, each over the value before (or over what its first node reads), and joins their ends.

    Without pipes it joins the values that `from` names. What `with` names comes behind.
    """

    headline = "pipes"
    form: ClassVar[look.Form] = "fork"
    symbol: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ("from", "with")
    pipes: tuple[Pipe, ...] = Field((), description="The pipes, each a list.")
    others: Names = Field((), alias="with", description="More values, by their names: `with: gate`, `with: [a, b]`.")

    def ends(self, io: Ports) -> list[Tensor]:
        """Return the values that are joined; the rule stops in silence where one is unknown."""
        if self.pipes:
            start = io.x if io.sources else None
            ends = [io.flow("pipes", start, index).end for index in range(len(self.pipes))]
            return [*(io.known(end) for end in ends), *io.values("with")]
        found = [*io.sources, *io.values("with")]
        if not found:
            io.fail("D109", f"`{io.name}` needs at least one pipe", "pipes")
        if len(found) == 1:
            help = "write pipes, `[[...], [...]]`, or name the others: `with: gate`"
            io.fail("N307", f"`{io.name}` joins several values, and has one", help=help)
        return found

    def alike(self, io: Ports, verb: str) -> Tensor:
        """Return the shape of what is made element by element, or report the first value that does not fit.

        Shapes are laid one over the other from their last axes; an axis of length 1, or none, goes with any.
        """
        first, *others = self.ends(io)
        for index, other in enumerate(others, 1):
            over = broadcast(first, other)
            if over is None:
                field, label = self._blamed(index)
                io.fail("T204", f"`{io.name}` {verb} {first} and {other}", field, f"{label} {other}")
            first = over
        return first

    def _blamed(self, index: int) -> tuple[str, str]:
        """Return the field that gives the value with this index, and what it is called."""
        if index < len(self.pipes):
            return f"pipes.{index}", "this pipe ends at"
        return ("with", "this is") if self.others else ("from", "one of them is")

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None

    def joined(self, w: Writer, step: Step) -> list[str]:
        """Return the variables of the values; the pipes are written."""
        found = [w.run(flow) for flow in step.flows]
        if not found:
            more = [w.value(field) for field in step.reads if field.startswith("from.")]
            found = [*([w.x] if step.inputs else []), *more]
        return [*found, *(w.value(field) for field in step.reads if field.partition(".")[0] == "with")]

    def facts(self, step: Step) -> str:
        return ", ".join(value.name for field, value in step.reads.items() if field not in ("from", "x"))


def operands(step: Step) -> list[Tensor]:
    """Return the values that a join joins."""
    named = [value.tensor for field, value in step.reads.items() if field.partition(".")[0] == "with"]
    ends = [flow.end for flow in step.flows if flow.end is not None]
    return [*(ends if step.flows else step.inputs), *named]


def broadcast(a: Tensor, b: Tensor) -> Tensor | None:
    """Return the shape of what is made of two values element by element; None where that cannot be proved."""
    if a.dtype != b.dtype:
        return None
    made: list[Axis] = []
    for left, right in zip_longest(reversed(a.axes), reversed(b.axes)):
        if left is None or right is None:
            made += [each for each in (left, right) if each is not None]
        elif left.size == right.size:
            both = Tensor((left,)).joined(Tensor((right,)))
            made.append(both.axes[0])
        elif 1 in (left.size, right.size):
            made.append(right if left.size == 1 else left)
        else:
            return None
    return replace(a, axes=tuple(reversed(made)), vocab=a.vocab or b.vocab)
