"""activations: the functions between the two projections of a feed-forward layer, by name."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS = {
    "relu": lambda x: F.relu(x),
    "relu2": lambda x: F.relu(x).square(),
    "relu6": lambda x: F.relu6(x),
    "leaky_relu": lambda x: F.leaky_relu(x),
    "elu": lambda x: F.elu(x),
    "selu": lambda x: F.selu(x),
    "gelu": lambda x: F.gelu(x),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_quick": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu_10": lambda x: F.gelu(x).clamp(-10, 10),
    "gelu_rounded": lambda x: gelu_rounded(x),
    "silu": lambda x: F.silu(x),
    "mish": lambda x: F.mish(x),
    "tanh": lambda x: torch.tanh(x),
    "sigmoid": lambda x: torch.sigmoid(x),
    "softplus": lambda x: F.softplus(x),
    "sqrt_softplus": lambda x: F.softplus(x).sqrt(),
    "softsign": lambda x: F.softsign(x),
    "hard_sigmoid": lambda x: F.hardsigmoid(x),
    "hard_swish": lambda x: F.hardswish(x),
    "laplace": lambda x: laplace(x),
    "exp": lambda x: torch.exp(x),
    "identity": lambda x: x,
}


def gelu_rounded(x: Tensor) -> Tensor:
    """Return GELU by tanh, its √(2 / π) cut to eight digits: tanh(z) is 2 sigmoid(2z) - 1 (BLOOM)."""
    return x * torch.sigmoid(x * (1.59576912 + 1.59576912 * 0.044715 * x.square()))


def laplace(x: Tensor) -> Tensor:
    """Return the distribution function of a normal variable that is near relu(x)² (Ma et al. 2022)."""
    return 0.5 + 0.5 * torch.erf((x - 0.707107) / (0.282095 * math.sqrt(2)))


def clamped_swiglu(gate_BTF: Tensor, h_BTF: Tensor, alpha: Any, limit: Any) -> Tensor:
    """Return gate · sigmoid(alpha · gate) · (h + 1), both held within the limit (gpt-oss)."""
    gate_BTF = gate_BTF.clamp(max=limit)
    gate_BTF = gate_BTF * torch.sigmoid(alpha * gate_BTF)
    return gate_BTF * (h_BTF.clamp(-limit, limit) + 1)


class XIELU(nn.Module):
    """A square above 0 and an exponential below, both with a learned size (Huang and Schlag 2024)."""

    def __init__(self, alpha_p: float = 0.8, alpha_n: float = 0.8) -> None:
        super().__init__()
        self.alpha_p = nn.Parameter(torch.full((1,), math.log(math.expm1(alpha_p))))
        self.alpha_n = nn.Parameter(torch.full((1,), math.log(math.expm1(alpha_n - 0.5))))

    def forward(self, x_BTF: Tensor) -> Tensor:
        above_BTF = F.softplus(self.alpha_p) * x_BTF.square()
        below_BTF = (torch.expm1(x_BTF.clamp(max=-1e-6)) - x_BTF) * (0.5 + F.softplus(self.alpha_n))
        return torch.where(x_BTF > 0, above_BTF, below_BTF) + 0.5 * x_BTF
