"""residual: a branch, added to what it began with (He et al., arXiv:1512.03385)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from tfdsl.node import Call, Node, Pipe, Ports, Step, Weight, Work, Writer
from tfdsl.parts import Choice, Number, Probability, Real, Truth, needed
from tfdsl.shapes import Tensor

BelowOne = Annotated[float, Number(minimum=0, below=1)]


class Gate(Choice):
    """A learned factor of the branch."""

    init: Real
    tanh: Truth

    def size(self, width: int) -> int:
        """Return how many numbers it has."""
        return 1


class Scalar(Gate, type="scalar"):
    """One number: ReZero (arXiv:2003.04887); with `tanh: true` that of Flamingo and Llama 3.2's cross-attention."""

    init: Real = Field(0.0, description="Where it starts.")
    tanh: Truth = Field(False, description="Whether the factor is the number's tanh.")


class Channel(Gate, type="channel"):
    """One number for each feature: LayerScale (arXiv:2103.17239), as in CaiT, DINOv2 and BEiT (gamma)."""

    init: Real = Field(1e-5, description="Where they start; CaiT 1e-5, BEiT 0.1, DINOv2 1.")
    tanh: Truth = Field(False, description="Whether the factors are the numbers' tanh.")

    def size(self, width: int) -> int:
        return width


class Residual(Node):
    """keep · x + drop_path(scale · gate · dropout(body(x))).

    Where nothing but the body is said: x + body(x). Where the norm stands makes the customs: `[norm, attention]` is
    pre-norm, `[attention, norm]` a norm of the branch alone (Swin v2, OLMo 2), `[norm, attention, norm]` the sandwich
    (Gemma 2), and a `norm` after the residual is post-norm; DeepNorm is `residual: {body: [attention], keep: alpha}`,
    then `norm`.
    """

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
    dropout: Probability = Field(0.0, description="Dropout on what the branch gives, element by element.")
    scale: Real | None = Field(
        None,
        description="Multiply what the branch gives by this number: Granite's residual multiplier, MiniCPM's scale.",
    )
    gate: Gate | None = Field(
        None,
        description="Multiply what the branch gives by learned numbers: `scalar` (ReZero), `channel` (LayerScale), or "
        "`{type: channel, init: 0.1}`.",
    )
    drop_path: BelowOne | None = Field(
        None,
        description="In training, leave the branch out with this probability, for each sample of the batch, and divide "
        "it by 1 - p where it stays (stochastic depth). A rate by layer comes from a block's parameter and `vary: "
        "{rate: 0.1 * layer / (n_layers - 1)}`.",
    )
    keep: Real | None = Field(
        None,
        description="Multiply x, which the branch is added to, by this number: DeepNorm's alpha (arXiv:2203.00555).",
    )

    def shape(self, io: Ports) -> Tensor:
        x = io.floats()
        if self.gate is not None:
            io.width()
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

    def weights(self, step: Step) -> Mapping[str, Weight]:
        if self.gate is None:
            return {}
        return {"weight": Weight((self.gate.size(step.width),), float(self.gate.init), decays=False)}

    def work(self, step: Step) -> Work:
        kept = (1 if self.dropout else 0) + (1 if self.gate is not None else 0)
        factors = self.gate.size(step.width) if self.gate is not None and self.gate.tanh else 0
        return Work(kept=step.x.count * kept + factors)

    def call(self, step: Step) -> Call | None:
        if self.gate is None:
            return None
        return Call("Gate", (self.gate.size(step.width),), {"tanh": self.gate.tanh})

    def facts(self, step: Step) -> str:
        said = ["gated" if self.gate.type_name == "scalar" else "gated by feature"] if self.gate is not None else []
        said += [f"× {self.scale:.4g}"] if self.scale is not None else []
        said += [f"drop path {self.drop_path:.3g}"] if self.drop_path is not None else []
        said += [f"x × {self.keep:.4g}"] if self.keep is not None else []
        return " · ".join(said)

    def write(self, w: Writer, step: Step) -> None:
        x, branch = w.x, w.run(step.flows[0])
        if self.dropout:
            branch = f"{w.layer(Call('nn.Dropout', (self.dropout,)), self._name(step, 'dropout'))}({branch})"
        gate = self.call(step)
        if gate is not None:
            branch = f"{w.layer(gate)}({branch})"
        if self.scale is not None:
            branch = f"{self.scale!r} * {branch}"
        if self.drop_path is not None:
            branch = f"{w.layer(Call('DropPath', (float(self.drop_path),)), self._name(step, 'drop_path'))}({branch})"
        w.let(f"{x} + {branch}" if self.keep is None else f"{self.keep!r} * {x} + {branch}")

    def _name(self, step: Step, layer: str) -> str:
        """Return the name of a layer beside the gate, which has the node's own."""
        return step.name.replace("residual", layer) if self.id is None else f"{step.name}_{layer}"
