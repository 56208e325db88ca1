"""mamba2: a state that each head decays and adds to at every position, in chunks or a position at a time."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.blocks import begun, decays, in_blocks
from tfdsl.layers.cache import Cache
from tfdsl.layers.gated_norm import GatedNorm
from tfdsl.layers.short_conv import Taps


def start_steps(weight: Tensor) -> None:
    """Start biases so that softplus makes steps from 0.001 to 0.1 of them, every size as likely."""
    step = torch.empty_like(weight).uniform_(math.log(0.001), math.log(0.1)).exp()
    weight.data.copy_(step + (-torch.expm1(-step)).log())


class Mamba2(nn.Module):
    """A state space with one decay a head: x_BTD -> x_BTD.

    state_t = exp(dt_t * a) * state_(t-1) + dt_t * b_t x_t;  y_t = c_t state_t + skip * x_t
    Source: Dao and Gu 2024, sections 6 and 7.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        head_dim: int,
        state: int,
        groups: int = 1,
        size: int = 4,
        chunk: int = 64,
        bias: bool = False,
        conv_bias: bool = True,
        norm: str | None = "after",
        norm_groups: int | None = None,
        eps: float = 1e-5,
        dt_min: float | None = None,
        dt_max: float | None = None,
        multipliers: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.groups = groups
        self.chunk = chunk
        self.place = norm
        self.dt_min = dt_min
        self.dt_max = dt_max
        self.multipliers = multipliers
        self.sizes = (inner, inner + 2 * groups * state, heads)
        self.mixed = (inner, groups * state, groups * state)
        self.parts = nn.Linear(width, sum(self.sizes), bias=bias)
        self.taps = Taps(inner + 2 * groups * state, size, bias=conv_bias)
        self.dt_bias = nn.Parameter(torch.zeros(heads))
        self.decay_log = nn.Parameter(torch.zeros(heads))
        self.skip = nn.Parameter(torch.ones(heads))
        if norm == "before":
            self.norm = GatedNorm(inner, groups=norm_groups, before=True, eps=eps)
        elif norm == "after":
            self.norm = GatedNorm(inner, groups=norm_groups, eps=eps)
        self.out = nn.Linear(inner, width, bias=bias)

    def forward(
        self,
        x_BTD: Tensor,
        keep: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        B, T = x_BTD.shape[:2]
        gate_BTF, mixed_BTF, dt_BTH = self.parts(x_BTD).split(self.sizes, dim=-1)
        if self.multipliers is not None:
            parts = zip(mixed_BTF.split(self.mixed, dim=-1), self.multipliers[1:4], strict=True)
            mixed_BTF = torch.cat([part * factor for part, factor in parts], dim=-1)
            gate_BTF = gate_BTF * self.multipliers[0]
            dt_BTH = dt_BTH * self.multipliers[4]
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        mixed_BTF = F.silu(self.taps(mixed_BTF, keep, cache, place_BT)).to(exact)
        x_BTF, b_BTY, c_BTY = mixed_BTF.split(self.mixed, dim=-1)
        dt_BTH = F.softplus((dt_BTH + self.dt_bias).to(exact))
        if self.dt_min is not None or self.dt_max is not None:
            dt_BTH = dt_BTH.clamp(self.dt_min, self.dt_max)
        if keep is not None:
            # Padding leaves the state as it is.
            dt_BTH = dt_BTH * keep.unsqueeze(-1)
        log_BTH = -self.decay_log.to(exact).exp() * dt_BTH
        x_BTHK = x_BTF.view(B, T, self.heads, -1)
        added_BTHK = x_BTHK * dt_BTH.unsqueeze(-1)
        b_BTGY = b_BTY.view(B, T, self.groups, -1)
        c_BTGY = c_BTY.view(B, T, self.groups, -1)
        given = (added_BTHK, log_BTH, b_BTGY, c_BTGY)
        state_BGYF = None if cache is None else cache.state(x_BTD)
        if state_BGYF is not None and T == 1:
            if place_BT is not None:
                # Nothing is left of the document before.
                log_BTH = log_BTH.masked_fill((place_BT == 0).unsqueeze(-1), -math.inf)
                given = (added_BTHK, log_BTH, b_BTGY, c_BTGY)
            y_BTF, state_BGYF = self.step(*given, state_BGYF)
        else:
            y_BTF, state_BGYF = self.scan(*given, state_BGYF, cache is not None, place_BT=place_BT)
        if cache is not None:
            cache.put(state_BGYF)
        y_BTF = y_BTF + (x_BTHK * self.skip.unsqueeze(-1)).flatten(2)
        y_BTF = y_BTF.to(x_BTD.dtype)
        y_BTF = y_BTF * F.silu(gate_BTF) if self.place is None else self.norm(y_BTF, gate_BTF)
        return self.out(y_BTF)

    def step(
        self, x_BTHK: Tensor, log_BTH: Tensor, b_BTGY: Tensor, c_BTGY: Tensor, state_BGYF: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what one position reads, and the state behind it."""
        B, G = x_BTHK.size(0), self.groups
        decay_BTHK = log_BTH.exp().unsqueeze(-1).expand_as(x_BTHK)
        added_BGYF = b_BTGY.view(B, G, -1, 1) * x_BTHK.reshape(B, G, 1, -1)
        state_BGYF = torch.addcmul(added_BGYF, state_BGYF, decay_BTHK.reshape(B, G, 1, -1))
        y_BG1F = c_BTGY.view(B, G, 1, -1) @ state_BGYF
        return y_BG1F.view(B, 1, -1), state_BGYF

    def scan(
        self,
        x_BTHK: Tensor,
        log_BTH: Tensor,
        b_BTGY: Tensor,
        c_BTGY: Tensor,
        state_BGYF: Tensor | None,
        stays: bool,
        place_BT: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Return what all positions read, and the state behind them if it `stays`.

        Within a block of positions each reads from each; between blocks goes the state.
        """
        T = x_BTHK.size(1)
        x_BQTHK = in_blocks(x_BTHK, self.chunk)
        log_BQTH = in_blocks(log_BTH, self.chunk).cumsum(2)
        b_BQGTY = in_blocks(b_BTGY, self.chunk).transpose(2, 3)
        c_BQGTY = in_blocks(c_BTGY, self.chunk).transpose(2, 3)
        begun_BQT = None if place_BT is None else begun(place_BT, self.chunk)
        share_BQGHTS = decays(log_BQTH, begun_BQT).unflatten(2, (self.groups, -1))
        share_BQGHTS = share_BQGHTS * (c_BQGTY @ b_BQGTY.mT).unsqueeze(3)
        y_BQHTK = share_BQGHTS.flatten(2, 3) @ x_BQTHK.transpose(2, 3)
        y_BQTHK = y_BQHTK.transpose(2, 3)
        states = self.carry(x_BQTHK, log_BQTH, b_BQGTY, state_BGYF, stays, begun_BQT=begun_BQT)
        if stays:
            state_BGYF = states.pop()
        if len(states) > 0:
            # The blocks that something came before: all but the first, or all.
            first = y_BQTHK.size(1) - len(states)
            later_BQTHK = y_BQTHK[:, first:]
            read_BQGTF = c_BQGTY[:, first:] @ torch.stack(states, dim=1)
            read_BQTHK = read_BQGTF.transpose(2, 3).reshape(later_BQTHK.shape)
            since_BQTH1 = log_BQTH[:, first:].exp().unsqueeze(-1)
            if begun_BQT is not None:
                # A document that begins in a block reads nothing from before it.
                since_BQTH1 = since_BQTH1.masked_fill((begun_BQT[:, first:] >= 0)[..., None, None], 0)
            later_BQTHK = torch.addcmul(later_BQTHK, read_BQTHK, since_BQTH1)
            y_BQTHK = torch.cat((y_BQTHK[:, :first], later_BQTHK), dim=1)
        return y_BQTHK.flatten(3).flatten(1, 2)[:, :T], state_BGYF

    def carry(
        self,
        x_BQTHK: Tensor,
        log_BQTH: Tensor,
        b_BQGTY: Tensor,
        state_BGYF: Tensor | None,
        stays: bool,
        begun_BQT: Tensor | None = None,
    ) -> list[Tensor]:
        """Return the states between blocks: what was there, and that behind each block.

        Nothing reads the one behind the last, unless it `stays`.
        """
        blocks = x_BQTHK.size(1) if stays else x_BQTHK.size(1) - 1
        x_BQTHK, log_BQTH = x_BQTHK[:, :blocks], log_BQTH[:, :blocks]
        end_BQ1H = log_BQTH[:, :, -1:]
        if begun_BQT is not None:
            # What is behind a block is of its last document alone.
            last_BQ1 = begun_BQT[:, :blocks, -1:]
            place_T = torch.arange(x_BQTHK.size(2), device=x_BQTHK.device)
            x_BQTHK = x_BQTHK.masked_fill((place_T < last_BQ1)[..., None, None], 0)
        left_BQTHK = x_BQTHK * (end_BQ1H - log_BQTH).exp().unsqueeze(-1)
        added_BQGYF = b_BQGTY[:, :blocks].mT @ self.grouped(left_BQTHK)
        decay_BQ1H1 = end_BQ1H.exp().unsqueeze(-1)
        if begun_BQT is not None:
            decay_BQ1H1 = decay_BQ1H1.masked_fill((begun_BQT[:, :blocks, -1:] >= 0)[..., None, None], 0)
        decay_BQ1HK = decay_BQ1H1.expand(-1, -1, -1, -1, x_BQTHK.size(-1))
        states = [] if state_BGYF is None else [state_BGYF]
        parts = (added_BQGYF.unbind(1), self.grouped(decay_BQ1HK).unbind(1))
        for added_BGYF, decay_BG1F in zip(*parts, strict=True):
            if len(states) > 0:
                added_BGYF = torch.addcmul(added_BGYF, states[-1], decay_BG1F)
            states.append(added_BGYF)
        return states

    def grouped(self, x_BQTHK: Tensor) -> Tensor:
        """Return the heads of each group side by side: (B, Q, G, T, F)."""
        x_BQTGF = x_BQTHK.flatten(3).unflatten(3, (self.groups, -1))
        return x_BQTGF.transpose(2, 3)
