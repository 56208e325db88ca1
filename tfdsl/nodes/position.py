"""position: where each position stands, added to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Sight, Step, Weight, Work, Writer
from tfdsl.parts import Positive, PositiveReal
from tfdsl.shapes import Tensor


class Position(Node):
    """Adds a vector that depends on the position: [B, T, D] -> [B, T, D]."""

    keeps = True
    family = "position"
    form = "beside"
    example = """
    dims: {d_model: 768, context: 1024}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - position: {from: x, type: learned, length: context}
    """

    def shape(self, io: Ports) -> Tensor:
        return io.sequence()

    def write(self, w: Writer, step: Step) -> None:
        call, start = self.call(step), w.start(step.output)
        assert call is not None, "each type has a layer"
        w.let(f"{w.layer(call)}({w.x}{f', {start}' if start else ''})")

    def sight(self, step: Step) -> Sight:
        return "place"


class Learned(Position, type="learned"):
    """Adds a row of a learned table."""

    title = "Position embedding"
    length: Positive | None = Field(None, description="The rows of the table; not needed where the length is known.")

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        length = x.axes[-2].size
        if self.length is None and not isinstance(length, int):
            io.fail(
                "T207",
                f"a learned table needs to know how many positions there are, and `{length}` is known only "
                "when the model runs",
                help="give the most that it must hold: `position: {type: learned, length: context}`",
            )
        if self.length is not None:
            io.limit(x.axes[-2], "length")
        return x

    def rows(self, step: Step) -> int:
        """Return the number of positions that the table holds."""
        rows = self.length if self.length is not None else step.x.axes[-2].size
        assert isinstance(rows, int), "the shape rule asked for a known length"
        return rows

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight((self.rows(step), step.width), decays=False)}

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> Call:
        return Call("LearnedPosition", (self.rows(step), step.width))

    def facts(self, step: Step) -> str:
        return f"learned · {self.rows(step):,} × {step.x.axes[-1].label}"


class Sinusoidal(Position, type="sinusoidal"):
    """Adds sines and cosines of geometrically spaced wavelengths (arXiv:1706.03762, section 3.5)."""

    title = "Sinusoidal positions"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - position: {from: x, type: sinusoidal}
    """
    theta: PositiveReal = Field(10000.0, description="The longest wavelength is 2π times this.")
    style: Literal["interleaved", "concatenated"] = Field(
        "interleaved", description="Sine and cosine in turn, as in the paper, or all sines before all cosines."
    )

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        if io.width() % 2:
            io.fail("T208", f"sines and cosines come in pairs, and the width {io.width()} is odd")
        return x

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> Call:
        return Call("SinusoidalPosition", (step.width,), {"theta": self.theta, "style": self.style})

    def facts(self, step: Step) -> str:
        return f"fixed · {step.x.axes[-2].label} × {step.x.axes[-1].label}"
