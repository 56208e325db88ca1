"""activation: a non-linear function of each element."""

from __future__ import annotations

from tfdsl.activations import TITLES, Pointwise, returns_slope
from tfdsl.node import Call, Node, Ports, Step, Work, Writer
from tfdsl.parts import needed
from tfdsl.shapes import Tensor


class Activation(Node):
    """Applies a function to each element; the gated ones belong to `ffn`."""

    keeps = True
    headline = "type"
    family = "ffn"
    example = """
    dims: {d_model: 512}
    inputs: {x: {shape: [B, T, d_model], dtype: float}}
    model:
      - activation: {from: x, type: gelu}
    """
    type: Pointwise = needed(description="The function.")

    def shape(self, io: Ports) -> Tensor:
        return io.floats()

    def work(self, step: Step) -> Work:
        if self.type == "relu2":
            return Work(kept=step.x.count)
        return Work(needs=("y" if returns_slope(self.type) else "x",))

    def call(self, step: Step) -> Call | None:
        modules = {
            "relu": Call("nn.ReLU"),
            "gelu": Call("nn.GELU"),
            "gelu_tanh": Call("nn.GELU", (), {"approximate": "tanh"}),
            "silu": Call("nn.SiLU"),
            "tanh": Call("nn.Tanh"),
            "sigmoid": Call("nn.Sigmoid"),
        }
        return modules.get(self.type)

    def write(self, w: Writer, step: Step) -> None:
        if self.type == "relu2":
            w.let(f"F.relu({w.x}).square()")
        else:
            super().write(w, step)

    def heading(self, step: Step) -> str:
        return TITLES[self.type]
