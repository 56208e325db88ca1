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
    """Return whether `activation` multiplies one half of the hidden units by a function of the other (arXiv:2002.05202)."""
    return activation in get_args(Gated)
