"""gated_delta: a memory of keys and values whose old values are taken out before new ones are written."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.gated_norm import GatedNorm
from tfdsl.layers.mamba2 import decays
from tfdsl.layers.short_conv import Taps


def unit(x: Tensor) -> Tensor:
    """Return each vector at length one."""
    return x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt()


class GatedDelta(nn.Module):
    """A memory that decays and is corrected: x_BTD -> x_BTD.

    state_t = decay_t * state_(t-1) + k_t beta_t (v_t - decay_t * k_t state_(t-1))
    y_t = q_t state_t / sqrt(key_dim)
    Source: Yang et al. 2024, equation 10 and section 3.3.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        key_dim: int,
        value_dim: int,
        key_heads: int | None = None,
        size: int = 4,
        conv_bias: bool = False,
        chunk: int = 64,
        strength: float = 1.0,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.key_heads = heads if key_heads is None else key_heads
        self.chunk = chunk
        self.strength = strength
        keys, values = self.key_heads * key_dim, heads * value_dim
        self.sizes = (2 * keys + values, values, heads, heads)
        self.mixed = (keys, keys, values)
        self.parts = nn.Linear(width, sum(self.sizes), bias=False)
        self.taps = Taps(2 * keys + values, size, bias=conv_bias)
        self.dt_bias = nn.Parameter(torch.zeros(heads))
        self.decay_log = nn.Parameter(torch.zeros(heads))
        self.norm = GatedNorm(value_dim, before=True, eps=eps)
        self.out = nn.Linear(values, width, bias=False)

    def forward(self, x_BTD: Tensor, keep: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        B, T = x_BTD.shape[:2]
        mixed_BTF, gate_BTF, beta_BTH, dt_BTH = self.parts(x_BTD).split(self.sizes, dim=-1)
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        mixed_BTF = F.silu(self.taps(mixed_BTF, keep, cache)).to(exact)
        q_BTF, k_BTF, v_BTF = mixed_BTF.split(self.mixed, dim=-1)
        q_BTGK = unit(q_BTF.view(B, T, self.key_heads, -1))
        q_BTGK = q_BTGK * q_BTGK.size(-1) ** -0.5
        k_BTGK = unit(k_BTF.view(B, T, self.key_heads, -1))
        v_BTHV = v_BTF.view(B, T, self.heads, -1)
        beta_BTH = beta_BTH.to(exact).sigmoid() * self.strength
        log_BTH = -self.decay_log.to(exact).exp() * F.softplus((dt_BTH + self.dt_bias).to(exact))
        if keep is not None:
            # Padding leaves the state as it is.
            beta_BTH, log_BTH = beta_BTH * keep.unsqueeze(-1), log_BTH * keep.unsqueeze(-1)
        state_BHKV = None if cache is None else cache.state(x_BTD)
        if state_BHKV is not None and T == 1:
            y_BTHV, state_BHKV = self.step(q_BTGK, k_BTGK, v_BTHV, beta_BTH, log_BTH, state_BHKV)
        else:
            y_BTHV, state_BHKV = self.scan(q_BTGK, k_BTGK, v_BTHV, beta_BTH, log_BTH, state_BHKV, cache is not None)
        if cache is not None:
            cache.put(state_BHKV)
        y_BTHV = self.norm(y_BTHV.to(x_BTD.dtype), gate_BTF.view(B, T, self.heads, -1))
        return self.out(y_BTHV.flatten(2))

    def step(
        self, q_BTGK: Tensor, k_BTGK: Tensor, v_BTHV: Tensor, beta_BTH: Tensor, log_BTH: Tensor, state_BHKV: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what one position reads, and the state behind it."""
        both_BG2K = torch.stack((k_BTGK[:, 0], q_BTGK[:, 0]), dim=2)
        both_BH2K = both_BG2K.repeat_interleave(self.heads // self.key_heads, dim=1)
        decay_BH11 = log_BTH.exp().view(-1, self.heads, 1, 1)
        old_BH1V, read_BH1V = ((both_BH2K @ state_BHKV) * decay_BH11).split(1, dim=2)
        new_BH1V = (v_BTHV.transpose(1, 2) - old_BH1V) * beta_BTH.transpose(1, 2).unsqueeze(-1)
        k_BH1K, q_BH1K = both_BH2K.split(1, dim=2)
        state_BHKV = torch.addcmul(k_BH1K.mT * new_BH1V, state_BHKV, decay_BH11)
        read_BH1V = torch.addcmul(read_BH1V, (q_BH1K * k_BH1K).sum(-1, keepdim=True), new_BH1V)
        return read_BH1V.transpose(1, 2), state_BHKV

    def scan(
        self,
        q_BTGK: Tensor,
        k_BTGK: Tensor,
        v_BTHV: Tensor,
        beta_BTH: Tensor,
        log_BTH: Tensor,
        state_BHKV: Tensor | None,
        stays: bool,
    ) -> tuple[Tensor, Any]:
        """Return what all positions read, and the state behind them if it `stays`."""
        T = v_BTHV.size(1)
        short, shared = -T % self.chunk, self.heads // self.key_heads
        blocks = (v_BTHV.size(0), (T + short) // self.chunk, self.chunk)
        q_BQGTK = F.pad(q_BTGK, (0, 0, 0, 0, 0, short)).view(*blocks, self.key_heads, -1).transpose(2, 3)
        k_BQGTK = F.pad(k_BTGK, (0, 0, 0, 0, 0, short)).view(*blocks, self.key_heads, -1).transpose(2, 3)
        v_BQHTV = F.pad(v_BTHV, (0, 0, 0, 0, 0, short)).view(*blocks, self.heads, -1).transpose(2, 3)
        beta_BQHT1 = F.pad(beta_BTH, (0, 0, 0, short)).view(*blocks, self.heads).transpose(2, 3).unsqueeze(-1)
        log_BQTH = F.pad(log_BTH, (0, 0, 0, short)).view(*blocks, self.heads).cumsum(2)
        left_BQHTS, log_BQHT1 = decays(log_BQTH), log_BQTH.transpose(2, 3).unsqueeze(-1)
        near_BQHTS = (k_BQGTK @ k_BQGTK.mT).repeat_interleave(shared, dim=2) * left_BQHTS * beta_BQHT1
        share_BQHTS = (q_BQGTK @ k_BQGTK.mT).repeat_interleave(shared, dim=2) * left_BQHTS
        q_BQHTK, k_BQHTK = q_BQGTK.repeat_interleave(shared, dim=2), k_BQGTK.repeat_interleave(shared, dim=2)
        since_BQHT1 = log_BQHT1.exp()
        # What each position of a block writes, less what the others of the block and the state have there.
        given_BQHTF = torch.cat((v_BQHTV, k_BQHTK * since_BQHT1), dim=-1) * beta_BQHT1
        found_BQHTF = torch.linalg.solve_triangular(near_BQHTS, given_BQHTF, upper=False, unitriangular=True)
        new_BQHTV, old_BQHTK = found_BQHTF.split((v_BQHTV.size(-1), k_BQHTK.size(-1)), dim=-1)
        reads_BQHUK = torch.cat((old_BQHTK, q_BQHTK * since_BQHT1), dim=3)
        end_BQH11 = log_BQHT1[:, :, :, -1:]
        writes_BQHKT = (k_BQHTK * (end_BQH11 - log_BQHT1).exp()).mT
        parts = (new_BQHTV, reads_BQHUK, share_BQHTS, writes_BQHKT, end_BQH11.exp())
        y_BQHTV, state_BHKV = self.carry(parts, state_BHKV, stays)
        return y_BQHTV.transpose(2, 3).flatten(1, 2)[:, :T], state_BHKV

    def carry(self, parts: tuple[Tensor, ...], state_BHKV: Tensor | None, stays: bool) -> tuple[Tensor, Any]:
        """Read and write the state a block at a time.

        Nothing reads the state behind the last, unless it `stays`.
        """
        made, blocks = [], parts[0].size(1)
        for block, (new_BHTV, reads_BHUK, share_BHTS, writes_BHKT, decay_BH11) in enumerate(
            zip(*(each.unbind(1) for each in parts), strict=True)
        ):
            if state_BHKV is None:
                made.append(share_BHTS @ new_BHTV)
            else:
                old_BHTV, read_BHTV = (reads_BHUK @ state_BHKV).chunk(2, dim=2)
                new_BHTV = new_BHTV - old_BHTV
                made.append(read_BHTV + share_BHTS @ new_BHTV)
            if stays or block + 1 < blocks:
                added_BHKV = writes_BHKT @ new_BHTV
                state_BHKV = added_BHKV if state_BHKV is None else torch.addcmul(added_BHKV, state_BHKV, decay_BH11)
        return torch.stack(made, dim=1), state_BHKV
