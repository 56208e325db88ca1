"""embed: each id becomes a row of a table."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from tfdsl.node import Call, Node, Ports, Step, Weight, Work, Writer
from tfdsl.parts import Name, Positive, Real
from tfdsl.shapes import Axis, Tensor


class Embed(Node):
    """Looks each id up in a table with a row a word: [B, T] -> [B, T, width]."""

    headline = "width"
    family = "embedding"
    title = "Token embedding"
    example = """
    dims: {vocab_size: 50257, d_model: 768}
    inputs: {tokens: {shape: [B, T], vocab: vocab_size}}
    model:
      - embed: {from: tokens, width: d_model, scale: sqrt(d_model)}
    """
    width: Positive | None = Field(None, description="The number of features; that of the tied table where left out.")
    scale: Real | None = Field(
        None, description="Multiply the rows by this number; √d_model in the original Transformer."
    )
    tie: Name | None = Field(None, description="Use the table of the embedding with this id.")

    def shape(self, io: Ports) -> Tensor:
        ids = io.x
        if ids.dtype != "int" or ids.vocab is None:
            io.fail(
                "T206",
                f"`embed` reads ids, and this is {ids} of numbers",
                "from",
                help="read a token input: `from: tokens`",
            )
        if self.width is not None:
            width = io.axis("width")
        elif self.tie is not None:
            width = Axis(io.table("tie").shape[1], name=io.owner("tie").output.axes[-1].name)
        else:
            io.fail("D105", "`embed` needs the number of features", help="give `width: d_model`, or `tie: <id>`")
        if self.tie is not None:
            io.tie("tie", (ids.vocab.size, width.size))
        return Tensor((*ids.axes, width))

    def weights(self, step: Step) -> Mapping[str, Weight]:
        return {"weight": Weight(table(step), decays=False, tied=self.tie or "")}

    def work(self, step: Step) -> Work:
        return Work(needs=("x",))

    def call(self, step: Step) -> Call:
        return Call("nn.Embedding", table(step))

    def write(self, w: Writer, step: Step) -> None:
        rows = f"{w.layer(self.call(step))}({w.x})"
        w.let(rows if self.scale is None else f"{self.scale!r} * {rows}")

    def facts(self, step: Step) -> str:
        assert step.x.vocab is not None, "the shape rule asked for ids"
        scaled = f" · × {step.said('scale', self.scale)}" if self.scale is not None else ""
        return f"{step.x.vocab.label} × {step.output.axes[-1].label}{scaled}"


def table(step: Step) -> tuple[int, int]:
    """Return the shape of the table: (words, features)."""
    words = step.x.vocab
    assert words is not None and isinstance(words.size, int), "the shape rule asked for ids"
    return words.size, step.output_width
