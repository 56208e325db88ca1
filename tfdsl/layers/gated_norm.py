"""gated_norm: what a recurrence gives, brought to one size and let through by a gate."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GatedNorm(nn.Module):
    """An RMSNorm behind or before the gate's silu: x_BTF, gate_BTF -> x_BTF.

    With `groups`, each part of the features is brought to one size by itself.
    Source: Sun et al. 2023, equation 8; Dao and Gu 2024, section 7.1.
    """

    def __init__(self, width: int, groups: int | None = None, before: bool = False, eps: float = 1e-6) -> None:
        super().__init__()
        self.groups = groups
        self.before = before
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_BTF: Tensor, gate_BTF: Tensor) -> Tensor:
        if not self.before:
            x_BTF = x_BTF * F.silu(gate_BTF)
        if self.groups is None:
            x_BTF = F.rms_norm(x_BTF, self.weight.shape, self.weight, self.eps)
        else:
            x_BTGF = x_BTF.unflatten(-1, (self.groups, -1))
            x_BTGF = F.rms_norm(x_BTGF, x_BTGF.shape[-1:], eps=self.eps)
            x_BTF = x_BTGF.flatten(-2) * self.weight
        if self.before:
            x_BTF = x_BTF * F.silu(gate_BTF)
        return x_BTF
