"""unembed: from features to a score for each word of the vocabulary."""

from __future__ import annotations

from pydantic import Field

from tfdsl.node import Node, Ports
from tfdsl.parts import Name, Positive, Truth
from tfdsl.projection import Projection
from tfdsl.shapes import Axis, Tensor


class Unembed(Projection, Node):
    """Gives each position a score a word: [..., D] -> [..., V], often by the embedding's matrix (arXiv:1608.05859)."""

    headline = "width"
    family = "linear"
    title = "Output projection"
    example = """
    dims: {vocab_size: 50257, d_model: 768}
    inputs: {tokens: {shape: [B, T], vocab: vocab_size}}
    model:
      - embed: {id: tok, from: tokens, width: d_model}
      - unembed: {width: vocab_size}
    """
    width: Positive | None = Field(None, description="The number of words; that of the tied embedding where left out.")
    bias: Truth = Field(False, description="Whether a vector is added.")
    tie: Name | None = Field(None, description="Use the matrix of the embedding with this id.")

    def shape(self, io: Ports) -> Tensor:
        if self.tie is not None:
            io.table("tie")
        size = io.width()
        if self.width is not None:
            words = io.axis("width")
        elif self.tie is not None:
            words = Axis(io.table("tie").shape[0], name=io.owner("tie").vocab_name)
        else:
            io.fail(
                "D105",
                "`unembed` needs the number of words",
                help="give `tie: <id of the embedding>` or `width: <words>`",
            )
        if self.tie is not None:
            io.tie("tie", (words.size, size))
        return io.x.last(words)
