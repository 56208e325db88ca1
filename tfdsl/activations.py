"""The activations: their names, whether they are gated, how a figure writes them, and what training keeps of them."""

from __future__ import annotations

import math
from typing import Literal, get_args

Pointwise = Literal[
    "relu",
    "gelu",
    "gelu_tanh",
    "silu",
    "tanh",
    "sigmoid",
    "relu2",
    "relu6",
    "gelu_quick",
    "gelu_10",
    "gelu_rounded",
    "leaky_relu",
    "elu",
    "selu",
    "mish",
    "softplus",
    "sqrt_softplus",
    "softsign",
    "hard_sigmoid",
    "hard_swish",
    "laplace",
    "exp",
    "identity",
    "xielu",
]
Gated = Literal["swiglu", "geglu", "geglu_tanh", "reglu", "glu", "bilinear", "relu2_glu", "clamped_swiglu"]
Activation = Literal[Pointwise, Gated]

GATES: dict[str, str] = {
    "swiglu": "silu",
    "geglu": "gelu",
    "geglu_tanh": "gelu_tanh",
    "reglu": "relu",
    "glu": "sigmoid",
    "bilinear": "identity",
    "relu2_glu": "relu2",
    "clamped_swiglu": "clamped_swiglu",
}
"""The function of the gate, of each gated activation."""

TITLES: dict[str, str] = {
    "relu": "ReLU",
    "gelu": "GELU",
    "gelu_tanh": "GELU (tanh)",
    "silu": "SiLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "relu2": "ReLU²",
    "relu6": "ReLU6",
    "gelu_quick": "quick GELU",
    "gelu_10": "GELU, clipped",
    "gelu_rounded": "GELU (tanh)",
    "leaky_relu": "leaky ReLU",
    "elu": "ELU",
    "selu": "SELU",
    "mish": "Mish",
    "softplus": "softplus",
    "sqrt_softplus": "√softplus",
    "softsign": "softsign",
    "hard_sigmoid": "hard sigmoid",
    "hard_swish": "hard swish",
    "laplace": "Laplace",
    "exp": "exp",
    "identity": "identity",
    "xielu": "xIELU",
    "swiglu": "SwiGLU",
    "geglu": "GEGLU",
    "geglu_tanh": "GEGLU (tanh)",
    "reglu": "ReGLU",
    "glu": "GLU",
    "bilinear": "bilinear",
    "relu2_glu": "ReLU²GLU",
    "clamped_swiglu": "clamped SwiGLU",
}

MEANING = (
    "`relu`; `gelu` (exact, x·Φ(x)); `gelu_tanh` (elsewhere `gelu_new`, `gelu_pytorch_tanh` or `gelu_fast`); "
    "`gelu_rounded` (gelu_tanh with √(2/π) cut to 0.79788456, as BLOOM writes it out); "
    "`gelu_quick` (x·sigmoid(1.702x), elsewhere `quick_gelu`); `gelu_10` (exact, held within ±10); `silu` (elsewhere "
    "`swish`); `relu2` (relu(x)²); `relu6`; `tanh`; `sigmoid`; `hard_sigmoid`; `hard_swish`; `leaky_relu` (0.01 below "
    "0); `elu` (alpha 1); `selu`; `mish`; `softplus`; `sqrt_softplus`; `softsign`; `exp`; `laplace` (½ + ½·erf((x - "
    "0.707107) / (0.282095·√2))); `identity` (elsewhere `linear`); `xielu` (arXiv:2411.13010, Apertus: two "
    "learned numbers, alpha_p from 0.8 and alpha_n from 0.8)"
)
GATED_MEANING = (
    "`swiglu` (silu of the gate), `geglu` (gelu), `geglu_tanh` (gelu_tanh), `reglu` (relu), `relu2_glu` (relu²), "
    "`glu` (sigmoid), `bilinear` (the gate itself) and `clamped_swiglu` (gpt-oss: gate·sigmoid(alpha·gate)·(h + 1), "
    "where the gate is at most `limit` and h is held within ±`limit`)"
)

XIELU = {"alpha_p": math.log(math.expm1(0.8)), "alpha_n": math.log(math.expm1(0.8 - 0.5))}
"""The weights of xIELU, and where they start."""

# Of a function, what autograd keeps on a CPU: what it takes, what it gives, and how many others as large.
_KEEPS: dict[str, tuple[int, int, int]] = {
    "relu": (0, 1, 0),
    "tanh": (0, 1, 0),
    "sigmoid": (0, 1, 0),
    "exp": (0, 1, 0),
    "relu2": (0, 0, 1),
    "laplace": (0, 0, 1),
    "identity": (0, 0, 0),
    "gelu_quick": (1, 0, 1),
    "gelu_10": (1, 0, 1),
    "gelu_rounded": (1, 0, 2),
    "softsign": (1, 0, 1),
    "sqrt_softplus": (1, 1, 0),
    "clamped_swiglu": (1, 0, 1),
    "xielu": (1, 0, 3),
}


def is_gated(activation: str) -> bool:
    """Return whether `activation` multiplies half the hidden units by a function of the others (arXiv:2002.05202)."""
    return activation in get_args(Gated)


def alone(activation: str) -> tuple[int, int, int]:
    """Return what autograd keeps of a function that is not gated: its input, its result, others as large."""
    return _KEEPS.get(activation, (1, 0, 0))


def kept(activation: str, gated: bool, dropout: bool, limited: bool = False) -> int:
    """Return how many tensors as large as the hidden units are kept between the two matrices.

    A gated activation keeps both halves of its input and the gate's function, another one what the function keeps; the
    second matrix keeps what it takes, which may be that result; dropout keeps its mask; a limit what it held back.
    """
    taken, given, more = alone(activation)
    last = 2 if dropout else 1
    if not gated:
        return taken + more + (last if not given else 1 + (2 if dropout else 0))
    return 2 + (activation != "identity") + more + (2 if limited else 0) + last
