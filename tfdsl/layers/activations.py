"""activations: the functions between the two projections of a feed-forward layer, by name."""

from __future__ import annotations

import torch
import torch.nn.functional as F

# A gated name takes the activation of its gate: Shazeer 2020, "GLU variants improve Transformer".
ACTIVATIONS = {
    "relu": lambda x: F.relu(x),
    "relu2": lambda x: F.relu(x).square(),
    "gelu": lambda x: F.gelu(x),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": lambda x: F.silu(x),
    "tanh": lambda x: torch.tanh(x),
    "sigmoid": lambda x: torch.sigmoid(x),
    "glu": lambda x: torch.sigmoid(x),
    "reglu": lambda x: F.relu(x),
    "geglu": lambda x: F.gelu(x),
    "geglu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "swiglu": lambda x: F.silu(x),
}
GATED = ("glu", "reglu", "geglu", "geglu_tanh", "swiglu")
