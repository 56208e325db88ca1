"""mamba: a state of its own for each feature, decayed and added to by what stands at a position."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.short_conv import Taps


class Mamba(nn.Module):
    """A selective state space: x_BTD -> x_BTD.

    state_t = exp(dt_t * a) * state_(t-1) + dt_t * x_t * b_t;  y_t = state_t c_t + skip * x_t
    Source: Gu and Dao 2023, algorithm 2.
    """

    def __init__(
        self,
        width: int,
        inner: int,
        state: int,
        rank: int,
        size: int = 4,
        bias: bool = False,
        conv_bias: bool = True,
        norm: str | None = None,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm = norm
        self.eps = eps
        self.sizes = (rank, state, state)
        self.parts = nn.Linear(width, 2 * inner, bias=bias)
        self.taps = Taps(inner, size, bias=conv_bias)
        self.select = nn.Linear(inner, sum(self.sizes), bias=False)
        self.dt = nn.Linear(rank, inner)
        self.decay_log = nn.Parameter(torch.zeros(inner, state))
        self.skip = nn.Parameter(torch.ones(inner))
        if norm == "rms":
            self.dt_norm = nn.RMSNorm(rank, eps=eps)
            self.b_norm = nn.RMSNorm(state, eps=eps)
            self.c_norm = nn.RMSNorm(state, eps=eps)
        self.out = nn.Linear(inner, width, bias=bias)

    def forward(
        self,
        x_BTD: Tensor,
        keep: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        x_BTF, gate_BTF = self.parts(x_BTD).chunk(2, dim=-1)
        x_BTF = F.silu(self.taps(x_BTF, keep, cache, place_BT))
        dt_BTR, b_BTY, c_BTY = self.select(x_BTF).split(self.sizes, dim=-1)
        if self.norm == "rms":
            dt_BTR = self.dt_norm(dt_BTR)
            b_BTY, c_BTY = self.b_norm(b_BTY), self.c_norm(c_BTY)
        elif self.norm == "plain":
            dt_BTR = F.rms_norm(dt_BTR, dt_BTR.shape[-1:], eps=self.eps)
            b_BTY = F.rms_norm(b_BTY, b_BTY.shape[-1:], eps=self.eps)
            c_BTY = F.rms_norm(c_BTY, c_BTY.shape[-1:], eps=self.eps)
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        dt_BTF = F.softplus(self.dt(dt_BTR).to(exact))
        if keep is not None:
            # Padding leaves the state as it is.
            dt_BTF = dt_BTF * keep.unsqueeze(-1)
        state_BFY = None if cache is None else cache.state(x_BTD)
        given = (dt_BTF, dt_BTF * x_BTF, b_BTY.to(exact), c_BTY.to(exact))
        y_BTF, state_BFY = self.scan(*given, state_BFY, place_BT=place_BT)
        if cache is not None:
            cache.put(state_BFY)
        y_BTF = torch.addcmul(y_BTF, x_BTF, self.skip).to(x_BTD.dtype)
        return self.out(y_BTF * F.silu(gate_BTF))

    def scan(
        self,
        dt_BTF: Tensor,
        x_BTF: Tensor,
        b_BTY: Tensor,
        c_BTY: Tensor,
        state_BFY: Tensor | None,
        place_BT: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Return what each position reads, and the state behind the last."""
        a_FY = -self.decay_log.to(dt_BTF.dtype).exp()
        made = []
        # A few positions at a time: what is made of them stays near the processor.
        parts = (each.split(16, dim=1) for each in (dt_BTF, x_BTF, b_BTY, c_BTY))
        for dt_BCF, x_BCF, b_BCY, c_BCY in zip(*parts, strict=True):
            decay_BCFY = (dt_BCF.unsqueeze(-1) * a_FY).exp()
            if place_BT is not None:
                # Nothing is left of the document before.
                new_BC = place_BT.split(16, dim=1)[len(made)] == 0
                decay_BCFY = decay_BCFY.masked_fill(new_BC[:, :, None, None], 0)
            added_BCFY = x_BCF.unsqueeze(-1) * b_BCY.unsqueeze(2)
            states, pairs = [], (decay_BCFY.unbind(1), added_BCFY.unbind(1))
            for decay_BFY, added_BFY in zip(*pairs, strict=True):
                if state_BFY is not None:
                    added_BFY = torch.addcmul(added_BFY, state_BFY, decay_BFY)
                state_BFY = added_BFY
                states.append(added_BFY)
            y_BCF1 = torch.stack(states, dim=1) @ c_BCY.unsqueeze(-1)
            made.append(y_BCF1.squeeze(-1))
        return torch.cat(made, dim=1), state_BFY
