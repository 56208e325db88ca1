"""residual: a branch, added to what it began with (He et al., arXiv:1512.03385)."""

from __future__ import annotations

from pydantic import Field

from tfdsl.node import Call, Node, Pipe, Ports, Step, Work, Writer
from tfdsl.parts import Probability, Real, needed
from tfdsl.shapes import Tensor


class Residual(Node):
    """x + scale · dropout(body(x))."""

    keeps = True
    headline = "body"
    title = "Residual"
    form = "branch"
    branches = True
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - norm: {from: x, type: rms}
      - residual: {body: [norm, ffn: 4 * d_model], dropout: 0.1}
    """
    body: Pipe = needed(description="The branch: a pipe that begins with the value before and must end in its shape.")
    dropout: Probability = Field(0.0, description="Dropout on what the branch gives.")
    scale: Real | None = Field(None, description="Multiply what the branch gives by this number.")

    def shape(self, io: Ports) -> Tensor:
        x = io.floats()
        branch = io.flow("body", x).end
        if branch is None:
            return x
        if branch.sizes != x.sizes or branch.dtype != x.dtype:
            last = x.axes[-1]
            mend = len(branch.axes) == len(x.axes) and branch.sizes[:-1] == x.sizes[:-1]
            io.fail(
                "T203",
                f"residual `{io.name}` adds {x} and {branch}",
                "body",
                f"this branch ends at {branch}",
                io.origin(last, f"the value it is added to was made here, {last} wide"),
                f"end the branch with `linear: {last.name or last}`" if mend else "",
            )
        return x.joined(branch)

    def work(self, step: Step) -> Work:
        return Work(kept=step.x.count if self.dropout else 0)

    def call(self, step: Step) -> None:
        return None

    def facts(self, step: Step) -> str:
        return f"× {self.scale:.4g}" if self.scale is not None else ""

    def write(self, w: Writer, step: Step) -> None:
        x, branch = w.x, w.run(step.flows[0])
        if self.dropout:
            name = step.name.replace("residual", "dropout") if self.id is None else f"{step.name}_dropout"
            branch = f"{w.layer(Call('nn.Dropout', (self.dropout,)), name)}({branch})"
        if self.scale is not None:
            branch = f"{self.scale!r} * {branch}"
        w.let(f"{x} + {branch}")
