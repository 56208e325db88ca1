"""reduce: the mean, sum or greatest value over axes (Rogozhnikov 2022, einops)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfdsl import moves
from tfdsl.node import Node, Ports, Sight, Step, Work, Writer
from tfdsl.parts import Positive, needed
from tfdsl.patterns import AxisName, Written, parse
from tfdsl.shapes import Tensor


class Reduce(Node):
    """Takes the mean (or the sum, the greatest, the least) over the axes that stand only on a pattern's left side.

    `b (t s) d -> b t d` with `sizes: {s: 4}` is average pooling in groups of four positions. Padding is not left out:
    `pool` does that.
    """

    headline = "pattern"
    title = "Reduce"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, 4 * T, d_model], dtype: float}}
    model:
      - reduce: {from: x, pattern: b (t s) d -> b t d, by: mean, sizes: {s: 4}}
    """
    pattern: Written = needed(
        description="Names for the axes before and after, as `rearrange` has them: `b t d -> b d`."
    )
    by: Literal["mean", "sum", "max", "min"] = Field("mean", description="What is taken over them.")
    sizes: dict[AxisName, Positive] = Field(
        {}, description="The lengths of all but one of the axes that stand in parentheses."
    )

    def shape(self, io: Ports) -> Tensor:
        made = moves.shape(io, self.pattern, self.sizes, reduces=True)
        taken = moves.fitted(parse(self.pattern).takes[0], io.x)
        kept = {name for group in parse(self.pattern).gives for name in group}
        for group, axis in zip(taken, io.x.axes, strict=True):
            if axis.keep is not None and group[0] not in kept and not group[0].startswith("..."):
                padded = ", ".join(axis.keep.inputs)
                message = f"`reduce` would count the padding of `{padded}`"
                io.fail("T266", message, "pattern", help="`pool` leaves padding out")
        return made

    def moved(self, step: Step) -> moves.Moved:
        """Return what is done to the axes."""
        return moves.move(step.x, self.pattern, self.sizes, reduces=True)

    def work(self, step: Step) -> Work:
        return Work(needs=("x", "y") if self.by in ("max", "min") else ())

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        w.let(self.moved(step).plan.text(w.x, {"max": "amax", "min": "amin"}.get(self.by, self.by)))

    def sight(self, step: Step) -> Sight:
        return self.moved(step).sight

    def facts(self, step: Step) -> str:
        return f"{self.by} · {self.pattern}"
