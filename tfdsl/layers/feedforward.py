"""feedforward: two projections and a function between them, at each position by itself."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.activations import ACTIVATIONS, XIELU, clamped_swiglu


class FeedForward(nn.Module):
    """Two projections with an activation between them: x_BTD -> x_BTD.

    Source: Vaswani et al. 2017, equation 2.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        activation: str = "gelu",
        gated: bool = False,
        bias: bool = False,
        down_bias: bool = False,
        dropout: float = 0.0,
        gate_scale: float | None = None,
        limit: float | None = None,
        alpha: float | None = None,
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.gated = gated
        self.gate_scale = gate_scale
        self.limit = limit
        self.alpha = alpha
        if gated:
            # One projection for the gate and for what it gates (Shazeer 2020).
            self.up = nn.Linear(width, 2 * hidden, bias=bias)
        else:
            self.up = nn.Linear(width, hidden, bias=bias)
        if activation == "xielu":
            self.xielu = XIELU()
        self.norm = norm
        self.dropout = dropout
        self.down = nn.Linear(hidden, width, bias=down_bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        h_BTF = self.up(x_BTD)
        if self.gated:
            gate_BTF, h_BTF = h_BTF.chunk(2, dim=-1)
            if self.gate_scale is not None:
                gate_BTF = gate_BTF * self.gate_scale
            if self.activation == "clamped_swiglu":
                h_BTF = clamped_swiglu(gate_BTF, h_BTF, self.alpha, self.limit)
            else:
                if self.limit is not None:
                    gate_BTF = gate_BTF.clamp(max=self.limit)
                    h_BTF = h_BTF.clamp(-self.limit, self.limit)
                if self.activation == "xielu":
                    h_BTF = self.xielu(gate_BTF) * h_BTF
                else:
                    h_BTF = ACTIVATIONS[self.activation](gate_BTF) * h_BTF
        elif self.activation == "xielu":
            h_BTF = self.xielu(h_BTF)
        else:
            h_BTF = ACTIVATIONS[self.activation](h_BTF)
        if self.norm is not None:
            h_BTF = self.norm(h_BTF)
        if self.dropout > 0:
            h_BTF = F.dropout(h_BTF, self.dropout, self.training)
        return self.down(h_BTF)
