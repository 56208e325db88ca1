"""position: where each position stands, added to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Sight, Step, Weight, Work, Writer
from tfdsl.parts import Name, Natural, Positive, PositiveReal, Truth
from tfdsl.shapes import Tensor

AXES = (
    "The rows and columns of a grid, [h, w], whose squares are the positions, row by row, as `patch` makes them. "
    "Positions before the first square (a class token) get nothing."
)
OFFSET = "What is added to each position's number: the first has this one."
PADDING = (
    "Whether padding counts. `skipped`: it does not; the k-th position (from 0) that is not padding has the number "
    "k + offset, on whichever side the padding lies (RoBERTa, XLM-R, M2M-100, FSMT: an offset of the padding id + 1)"
)


class Position(Node):
    """Adds a vector that depends on the position: [B, T, D] -> [B, T, D].

    Positions that the caller gives by number are an input of ids, embedded and summed:
    `sum: [[embed: {from: tokens, width: d}], [embed: {from: places, width: d}]]`.
    """

    keeps = True
    family = "position"
    form = "beside"
    example = """
    dims: {d_model: 768, context: 1024}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - position: {from: x, type: learned, length: context}
    """
    offset: Natural = Field(0, description=OFFSET)
    padding: Literal["counted", "skipped"] = Field("counted", description=PADDING + ".")
    axes: tuple[Positive, Positive] | None = Field(None, description=AXES)

    def shape(self, io: Ports) -> Tensor:
        x = io.sequence()
        if self.padding == "skipped" and x.axes[-2].keep is None:
            io.fail(
                "T246",
                f"padding is not to count, and nothing says what is padding along `{x.axes[-2]}`",
                "padding",
                help="name the id that stands for nothing, at the input: `tokens: {..., pad: 0}`",
            )
        if self.axes is not None:
            self._check_grid(io, x)
        return x

    def _check_grid(self, io: Ports, x: Tensor) -> None:
        assert self.axes is not None, "only a grid is checked"
        size, (height, width) = x.axes[-2].size, self.axes
        if not isinstance(size, int) or size < height * width:
            io.fail(
                "T243",
                f"a grid of {height} × {width} has {height * width} squares, and there are {size} positions",
                "axes",
                help="one position for each square, and perhaps some before them",
            )
        if self.offset or self.padding == "skipped":
            io.fail("T247", "the squares of a grid have no numbers: `offset` and `padding` say nothing here", "axes")

    def write(self, w: Writer, step: Step) -> None:
        call, given = self.call(step), [w.x]
        assert call is not None, "each type has a layer"
        if self.padding == "skipped":
            given.append(f"seen_BS={w.seen(step.x.axes[-2])}")
        elif self.axes is None:
            start, place = w.start(step.output), w.place(step.x.axes[-2])
            given += [start] if start else []
            given += [f"place_BT={place}"] if place else []
        w.let(f"{w.layer(call)}({', '.join(given)})")

    def sight(self, step: Step) -> Sight:
        return "count" if self.padding == "skipped" else "place"

    def leaks(self, step: Step) -> str:
        if self.axes is not None:
            return "the squares of its grid are those of one image"
        return "it counts what is not padding, from the start of the row" if self.padding == "skipped" else ""


class Learned(Position, type="learned"):
    """Adds a row of a learned table: the position with the number p gets row p.

    The table has length + offset rows (GPT-2, BERT, ViT: no offset; OPT and BART: an offset of 2, `length` positions
    and two rows before them that are not used). With `padding: skipped` the padding itself gets row offset − 1, or row
    0 (RoBERTa: `{length: 512, offset: 2, padding: skipped}` for its 514 rows). With `axes` there are two tables, of h
    and of w rows, and each square gets its row's and its column's.
    """

    title = "Position embedding"
    length: Positive | None = Field(
        None, description="The number of positions that there may be; not needed where the length is known."
    )
    tie: Name | None = Field(None, description="The table is that of the node with this id, and has its rows.")

    def shape(self, io: Ports) -> Tensor:
        x = super().shape(io)
        length = x.axes[-2].size
        if self.axes is not None:
            for field in ("length", "tie"):
                if getattr(self, field) is not None:
                    io.fail("T247", f"a grid has the rows and columns of its axes: `{field}` says nothing here", field)
            return x
        if self.length is None and not isinstance(length, int):
            io.fail(
                "T207",
                f"a learned table needs to know how many positions there are, and `{length}` is known only "
                "when the model runs",
                help="give the most that it must hold: `position: {type: learned, length: context}`",
            )
        if self.length is not None:
            io.limit(x.axes[-2], "length")
        if self.tie is not None:
            held = self.length if self.length is not None else length
            io.tie("tie", (held + self.offset, io.width()))
        return x

    def rows(self, step: Step) -> int:
        """Return the number of rows that the table holds."""
        length = self.length if self.length is not None else step.x.axes[-2].size
        assert isinstance(length, int), "the shape rule asked for a known length"
        return length + self.offset

    def weights(self, step: Step) -> Mapping[str, Weight]:
        if self.axes is not None:
            sides = zip(("rows", "columns"), self.axes, strict=True)
            return {name: Weight((size, step.width), decays=False) for name, size in sides}
        return {"weight": Weight((self.rows(step), step.width), decays=False, tied=self.tie or "")}

    def work(self, step: Step) -> Work:
        apart = self.padding == "skipped" or bool(step.x.axes[-2].parts)
        return Work(kept=2 * step.x.positions if apart else 0)  # an id counts as two

    def call(self, step: Step) -> Call:
        if self.axes is not None:
            return Call("LearnedGrid", (*self.axes, step.width))
        named: dict[str, Any] = {"offset": self.offset} if self.offset else {}
        named |= {"known": True} if isinstance(step.x.axes[-2].size, int) else {}
        return Call("LearnedPosition", (self.rows(step), step.width), named)

    def facts(self, step: Step) -> str:
        if self.axes is not None:
            return f"learned · {self.axes[0]} rows, {self.axes[1]} columns"
        return f"learned · {self.rows(step):,} × {step.x.axes[-1].label}"


class Sinusoidal(Position, type="sinusoidal"):
    """Adds sines and cosines of geometrically spaced wavelengths (arXiv:1706.03762, section 3.5).

    For the position with the number p, sin(p · rᵢ) and cos(p · rᵢ), rᵢ = theta^(−2i/D), i from 0 to D/2 − 1; with
    `inclusive` rᵢ = theta^(−i/(D/2 − 1)). With `padding: skipped` padding gets nothing. The paper, Marian (`style:
    concatenated`); Whisper's encoder (`concatenated`, `inclusive`); XGLM (these and `offset: 2`); M2M-100, NLLB, FSMT
    (these and `padding: skipped`, `offset` the padding id + 1); MusicGen (`cosines_first`, `inclusive`). With `axes`
    the first half of the features is made so from each square's column, the second from its row, D halved (MAE, I-JEPA:
    `concatenated`; SimpleViT: and `inclusive`).
    """

    title = "Sinusoidal positions"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - position: {from: x, type: sinusoidal}
    """
    theta: PositiveReal = Field(10000.0, description="The longest wavelength is 2π times this.")
    style: Literal["interleaved", "concatenated", "cosines_first"] = Field(
        "interleaved",
        description="Sine and cosine in turn, as in the paper; all sines before all cosines; or all cosines first.",
    )
    inclusive: Truth = Field(
        False,
        description="Whether the longest wavelength is among them: exponents −i/(D/2 − 1) in place of −2i/D, as in "
        "tensor2tensor.",
    )
    scale: PositiveReal | None = Field(None, description="What sines and cosines are multiplied by.")
    rows_first: Truth = Field(False, description="With `axes`: whether the first half of the features is the row's.")

    def shape(self, io: Ports) -> Tensor:
        x = super().shape(io)
        if io.width() % 2:
            io.fail("T208", f"sines and cosines come in pairs, and the width {io.width()} is odd")
        if self.axes is not None and io.width() % 4:
            io.fail("T208", f"rows and columns have pairs of sines and cosines each: 4 does not divide {io.width()}")
        if self.inclusive and io.width() <= (4 if self.axes is not None else 2):
            io.fail("T247", "a single wavelength cannot be both the shortest and the longest", "inclusive")
        if self.rows_first and self.axes is None:
            io.fail("T247", "`rows_first` is about a grid, and there are no `axes`", "rows_first")
        return x

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> Call:
        named: dict[str, Any] = {"theta": self.theta, "style": self.style}
        named |= {"inclusive": True} if self.inclusive else {}
        named |= {"scale": self.scale} if self.scale is not None else {}
        if self.axes is not None:
            named |= {"rows_first": True} if self.rows_first else {}
            return Call("SinusoidalGrid", (*self.axes, step.width), named)
        return Call("SinusoidalPosition", (step.width,), named | ({"offset": self.offset} if self.offset else {}))

    def facts(self, step: Step) -> str:
        return f"fixed · {step.x.axes[-2].label} × {step.x.axes[-1].label}"
