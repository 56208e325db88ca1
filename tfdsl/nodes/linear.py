"""linear: every position times one matrix."""

from __future__ import annotations

from pydantic import Field

from tfdsl.node import Node, Ports
from tfdsl.parts import Name, Positive, Truth, needed
from tfdsl.projection import Projection
from tfdsl.shapes import Tensor


class Linear(Projection, Node):
    """Multiplies every position's features by a matrix: [..., D] -> [..., width]."""

    headline = "width"
    family = "linear"
    title = "Linear"
    example = """
    dims: {d_model: 512, width: 2048}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - linear: {from: x, width: width, bias: true}
    """
    width: Positive = needed(description="The number of features that leave it.")
    bias: Truth = Field(False, description="Whether a vector is added.")
    tie: Name | None = Field(None, description="Use the matrix of the node with this id, [width, D].")

    def shape(self, io: Ports) -> Tensor:
        size = io.width()
        if self.tie is not None:
            io.tie("tie", (self.width, size))
        return io.x.last(io.axis("width"))
