"""activation: a non-linear function of each element."""

from __future__ import annotations

from collections.abc import Mapping

from tfdsl.activations import MEANING, TITLES, XIELU, Pointwise, alone
from tfdsl.node import Call, Node, Ports, Step, Weight, Work, Writer
from tfdsl.parts import needed
from tfdsl.shapes import Tensor

MODULES = {
    "relu": Call("nn.ReLU"),
    "gelu": Call("nn.GELU"),
    "gelu_tanh": Call("nn.GELU", (), {"approximate": "tanh"}),
    "silu": Call("nn.SiLU"),
    "tanh": Call("nn.Tanh"),
    "sigmoid": Call("nn.Sigmoid"),
    "relu6": Call("nn.ReLU6"),
    "leaky_relu": Call("nn.LeakyReLU"),
    "elu": Call("nn.ELU"),
    "selu": Call("nn.SELU"),
    "mish": Call("nn.Mish"),
    "softplus": Call("nn.Softplus"),
    "softsign": Call("nn.Softsign"),
    "hard_sigmoid": Call("nn.Hardsigmoid"),
    "hard_swish": Call("nn.Hardswish"),
    "xielu": Call("XIELU"),
}
EXPRESSIONS = {
    "relu2": "F.relu({x}).square()",
    "gelu_quick": "{x} * torch.sigmoid(1.702 * {x})",
    "gelu_10": "F.gelu({x}).clamp(-10, 10)",
    "gelu_rounded": "gelu_rounded({x})",
    "sqrt_softplus": "F.softplus({x}).sqrt()",
    "laplace": "laplace({x})",
    "exp": "torch.exp({x})",
    "identity": "{x}",
}


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
    type: Pointwise = needed(description=f"The function: {MEANING}.")

    def shape(self, io: Ports) -> Tensor:
        return io.floats()

    def weights(self, step: Step) -> Mapping[str, Weight]:
        if self.type != "xielu":
            return {}
        return {name: Weight((1,), first, decays=False) for name, first in XIELU.items()}

    def work(self, step: Step) -> Work:
        taken, given, more = alone(self.type)
        needs = (("x",) if taken else ()) + (("y",) if given else ())
        return Work(kept=more * step.x.count, needs=needs)

    def call(self, step: Step) -> Call | None:
        return MODULES.get(self.type)

    def write(self, w: Writer, step: Step) -> None:
        if self.type in EXPRESSIONS:
            w.let(EXPRESSIONS[self.type].format(x=w.x))
        else:
            super().write(w, step)

    def heading(self, step: Step) -> str:
        return TITLES[self.type]
