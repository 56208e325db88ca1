"""use: one copy of a block."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from tfdsl.node import Node, Ports, Step, Work, Writer
from tfdsl.parts import Name, needed
from tfdsl.shapes import Tensor


class Use(Node):
    """Runs one copy of a block: [...] -> what the block gives. Every other field sets a parameter of the block."""

    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    blocks:
      feed: {params: {hidden: 1024}, body: [norm, ffn: $hidden]}
    model:
      - norm: {from: x, type: rms}
      - use: {block: feed, hidden: 4 * d_model}
    """
    model_config = ConfigDict(extra="allow")

    headline = "block"
    title = "Block"
    form = "inline"
    block: Name = needed(description="The name of the block.")

    @property
    def label(self) -> str:
        return str(self.block).lstrip("$")

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the block's parameters that are set here."""
        return dict(self.model_extra or {})

    def given(self) -> dict[str, Any]:
        return {**super().given(), **self.parameters}

    def shape(self, io: Ports) -> Tensor:
        start = io.x if io.sources else None
        return io.known(io.instance(self.block, self.parameters, start).flow.end)

    def work(self, step: Step) -> Work:
        return Work()

    def call(self, step: Step) -> None:
        return None

    def write(self, w: Writer, step: Step) -> None:
        w.copies()
