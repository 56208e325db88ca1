"""rearrange: the axes of a value split, merged, reordered or repeated (Rogozhnikov 2022, einops)."""

from __future__ import annotations

from pydantic import Field

from tfdsl import moves
from tfdsl.node import Node, Ports, Sight, Step, Work, Writer
from tfdsl.parts import Positive, needed
from tfdsl.patterns import AxisName, Written
from tfdsl.shapes import Tensor


class Rearrange(Node):
    """Gives the axes of a value another order and other groups, as a pattern says: `b t (h d) -> b h t d`.

    Each name is an axis; names in parentheses are axes that make up one, the first of them the slowest; `1` is an axis
    of length 1, and `...` stands for any axes, which stay together. What stands on the left must stand on the right.
    A name that stands only on the right repeats the value along a new axis, whose length `sizes` gives.
    """

    headline = "pattern"
    title = "Rearrange"
    example = """
    dims: {d_model: 512, heads: 8}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - rearrange: {from: x, pattern: b t (h d) -> b h t d, sizes: {h: heads}}
    """
    pattern: Written = needed(
        description="Names for the axes before and after: `b t (h d) -> b h t d`. Any names will do; they mean nothing "
        "outside of the pattern. `b (h w) c -> b c h w` makes an image of positions, `b t -> b t 1` adds an axis."
    )
    sizes: dict[AxisName, Positive] = Field(
        {},
        description="The lengths of axes that the shape does not tell: all but one of those in parentheses on the "
        "left, and those that stand only on the right: `{h: n_heads}`.",
    )

    def shape(self, io: Ports) -> Tensor:
        return moves.shape(io, self.pattern, self.sizes)

    def work(self, step: Step) -> Work:
        return Work(view=not self.moved(step).plan.merged)

    def call(self, step: Step) -> None:
        return None

    def moved(self, step: Step) -> moves.Moved:
        """Return what is done to the axes."""
        return moves.move(step.x, self.pattern, self.sizes)

    def write(self, w: Writer, step: Step) -> None:
        w.let(self.moved(step).plan.text(w.x))

    def sight(self, step: Step) -> Sight:
        return self.moved(step).sight

    def leaks(self, step: Step) -> str:
        return "" if self.sight(step) == "here" else "it may join positions of different documents"

    def facts(self, step: Step) -> str:
        return self.pattern
