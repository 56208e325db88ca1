"""The activations: their names, whether they are gated, and how a figure writes them."""

from __future__ import annotations

from typing import Literal, get_args

Pointwise = Literal["relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid", "relu2"]
Gated = Literal["swiglu", "geglu", "geglu_tanh", "reglu", "glu"]
Activation = Literal[Pointwise, Gated]

TITLES: dict[str, str] = {
    "relu": "ReLU",
    "gelu": "GELU",
    "gelu_tanh": "GELU (tanh)",
    "silu": "SiLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "relu2": "ReLU²",
    "swiglu": "SwiGLU",
    "geglu": "GEGLU",
    "geglu_tanh": "GEGLU (tanh)",
    "reglu": "ReGLU",
    "glu": "GLU",
}


def is_gated(activation: str) -> bool:
    """Return whether `activation` multiplies half the hidden units by a function of the others (arXiv:2002.05202)."""
    return activation in get_args(Gated)


def slope(activation: str) -> str:
    """Return the function that makes the gate of a gated activation."""
    return {"swiglu": "silu", "geglu": "gelu", "geglu_tanh": "gelu_tanh", "reglu": "relu", "glu": "sigmoid"}[activation]


def returns_slope(activation: str) -> bool:
    """Return whether the backward pass of `activation` needs what it gave, and not what it took."""
    return activation in ("relu", "tanh", "sigmoid")


def kept(activation: str, dropout: bool) -> int:
    """Return how many tensors as large as the hidden units are kept between the two matrices.

    A gated activation keeps both halves of its input and the gate, another one tensor; the second matrix keeps what it
    takes, which may be that tensor; dropout keeps its mask.
    """
    same = returns_slope(activation) and not dropout
    return (3 if is_gated(activation) else 1) + (0 if same else 1) + (1 if dropout else 0)
