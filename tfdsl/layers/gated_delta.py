"""gated_delta: a memory of keys and values whose old values are taken out before new ones are written."""

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

    def forward(
        self,
        x_BTD: Tensor,
        keep: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        B, T = x_BTD.shape[:2]
        parts = self.parts(x_BTD).split(self.sizes, dim=-1)
        mixed_BTF, gate_BTF, beta_BTH, dt_BTH = parts
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        mixed_BTF = F.silu(self.taps(mixed_BTF, keep, cache, place_BT)).to(exact)
        q_BTF, k_BTF, v_BTF = mixed_BTF.split(self.mixed, dim=-1)
        q_BTGK = unit(q_BTF.view(B, T, self.key_heads, -1))
        q_BTGK = q_BTGK * q_BTGK.size(-1) ** -0.5
        k_BTGK = unit(k_BTF.view(B, T, self.key_heads, -1))
        v_BTHZ = v_BTF.view(B, T, self.heads, -1)
        beta_BTH = beta_BTH.to(exact).sigmoid() * self.strength
        dt_BTH = F.softplus((dt_BTH + self.dt_bias).to(exact))
        log_BTH = -self.decay_log.to(exact).exp() * dt_BTH
        if keep is not None:
            # Padding leaves the state as it is.
            beta_BTH = beta_BTH * keep.unsqueeze(-1)
            log_BTH = log_BTH * keep.unsqueeze(-1)
        given = (q_BTGK, k_BTGK, v_BTHZ, beta_BTH, log_BTH)
        state_BHKZ = None if cache is None else cache.state(x_BTD)
        if state_BHKZ is not None and T == 1:
            if place_BT is not None:
                # Nothing is left of the document before.
                log_BTH = log_BTH.masked_fill((place_BT == 0).unsqueeze(-1), -math.inf)
                given = (q_BTGK, k_BTGK, v_BTHZ, beta_BTH, log_BTH)
            y_BTHZ, state_BHKZ = self.step(*given, state_BHKZ)
        else:
            y_BTHZ, state_BHKZ = self.scan(*given, state_BHKZ, cache is not None, place_BT=place_BT)
        if cache is not None:
            cache.put(state_BHKZ)
        gate_BTHZ = gate_BTF.view(B, T, self.heads, -1)
        y_BTHZ = self.norm(y_BTHZ.to(x_BTD.dtype), gate_BTHZ)
        return self.out(y_BTHZ.flatten(2))

    def step(
        self, q_BTGK: Tensor, k_BTGK: Tensor, v_BTHZ: Tensor, beta_BTH: Tensor, log_BTH: Tensor, state_BHKZ: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what one position reads, and the state behind it."""
        both_BG2K = torch.stack((k_BTGK[:, 0], q_BTGK[:, 0]), dim=2)
        both_BH2K = both_BG2K.repeat_interleave(self.heads // self.key_heads, dim=1)
        decay_BH11 = log_BTH.exp().view(-1, self.heads, 1, 1)
        old_BH2Z = (both_BH2K @ state_BHKZ) * decay_BH11
        old_BH1Z, read_BH1Z = old_BH2Z.split(1, dim=2)
        beta_BH11 = beta_BTH.view(-1, self.heads, 1, 1)
        new_BH1Z = (v_BTHZ.transpose(1, 2) - old_BH1Z) * beta_BH11
        k_BH1K, q_BH1K = both_BH2K.split(1, dim=2)
        state_BHKZ = torch.addcmul(k_BH1K.mT * new_BH1Z, state_BHKZ, decay_BH11)
        alike_BH11 = (q_BH1K * k_BH1K).sum(-1, keepdim=True)
        read_BH1Z = torch.addcmul(read_BH1Z, alike_BH11, new_BH1Z)
        return read_BH1Z.transpose(1, 2), state_BHKZ

    def scan(
        self,
        q_BTGK: Tensor,
        k_BTGK: Tensor,
        v_BTHZ: Tensor,
        beta_BTH: Tensor,
        log_BTH: Tensor,
        state_BHKZ: Tensor | None,
        stays: bool,
        place_BT: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Return what all positions read, and the state behind them if it `stays`."""
        T, shared = v_BTHZ.size(1), self.heads // self.key_heads
        q_BQGTK = in_blocks(q_BTGK, self.chunk).transpose(2, 3)
        k_BQGTK = in_blocks(k_BTGK, self.chunk).transpose(2, 3)
        v_BQHTZ = in_blocks(v_BTHZ, self.chunk).transpose(2, 3)
        beta_BQHT1 = in_blocks(beta_BTH, self.chunk).transpose(2, 3).unsqueeze(-1)
        log_BQTH = in_blocks(log_BTH, self.chunk).cumsum(2)
        log_BQHT1 = log_BQTH.transpose(2, 3).unsqueeze(-1)
        begun_BQT = None if place_BT is None else begun(place_BT, self.chunk)
        left_BQHTS, since_BQHT1 = decays(log_BQTH, begun_BQT), log_BQHT1.exp()
        if begun_BQT is not None:
            # A document that begins in a block reads nothing from before it.
            since_BQHT1 = since_BQHT1.masked_fill((begun_BQT >= 0)[:, :, None, :, None], 0)
        near_BQHTS = (k_BQGTK @ k_BQGTK.mT).repeat_interleave(shared, dim=2)
        near_BQHTS = near_BQHTS * left_BQHTS * beta_BQHT1
        share_BQHTS = (q_BQGTK @ k_BQGTK.mT).repeat_interleave(shared, dim=2)
        share_BQHTS = share_BQHTS * left_BQHTS
        q_BQHTK = q_BQGTK.repeat_interleave(shared, dim=2)
        k_BQHTK = k_BQGTK.repeat_interleave(shared, dim=2)
        # What each position of a block writes, less what the others of the block and the state have there.
        given_BQHTF = torch.cat((v_BQHTZ, k_BQHTK * since_BQHT1), dim=-1) * beta_BQHT1
        found_BQHTF = torch.linalg.solve_triangular(near_BQHTS, given_BQHTF, upper=False, unitriangular=True)
        sizes = (v_BQHTZ.size(-1), k_BQHTK.size(-1))
        new_BQHTZ, old_BQHTK = found_BQHTF.split(sizes, dim=-1)
        reads = torch.cat((old_BQHTK, q_BQHTK * since_BQHT1), dim=3)
        end_BQH11 = log_BQHT1[:, :, :, -1:]
        writes_BQHKT = (k_BQHTK * (end_BQH11 - log_BQHT1).exp()).mT
        if begun_BQT is not None:
            # What is behind a block is of its last document alone.
            last_BQ1 = begun_BQT[:, :, -1:]
            place_T = torch.arange(self.chunk, device=last_BQ1.device)
            writes_BQHKT = writes_BQHKT.masked_fill((place_T < last_BQ1)[:, :, None, None, :], 0)
            end_BQH11 = end_BQH11.masked_fill((last_BQ1 >= 0)[:, :, None, :, None], -math.inf)
        parts = (new_BQHTZ, reads, share_BQHTS, writes_BQHKT, end_BQH11.exp())
        y_BQHTZ, state_BHKZ = self.carry(parts, state_BHKZ, stays)
        return y_BQHTZ.transpose(2, 3).flatten(1, 2)[:, :T], state_BHKZ

    def carry(self, parts: tuple[Tensor, ...], state_BHKZ: Tensor | None, stays: bool) -> tuple[Tensor, Any]:
        """Read and write the state a block at a time.

        Nothing reads the state behind the last, unless it `stays`.
        """
        made, last = [], parts[0].size(1) - 1
        blocks = zip(*(part.unbind(1) for part in parts), strict=True)
        for block, given in enumerate(blocks):
            new_BHTZ, reads, share_BHTS, writes_BHKT, decay_BH11 = given
            if state_BHKZ is None:
                made.append(share_BHTS @ new_BHTZ)
            else:
                old_BHTZ, read_BHTZ = (reads @ state_BHKZ).chunk(2, dim=2)
                new_BHTZ = new_BHTZ - old_BHTZ
                made.append(read_BHTZ + share_BHTS @ new_BHTZ)
            if stays or block < last:
                added_BHKZ = writes_BHKT @ new_BHTZ
                if state_BHKZ is not None:
                    added_BHKZ = torch.addcmul(added_BHKZ, state_BHKZ, decay_BH11)
                state_BHKZ = added_BHKZ
        return torch.stack(made, dim=1), state_BHKZ
