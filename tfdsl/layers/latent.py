"""latent: attention that keeps one small latent of each position, of which keys and values are made."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.rotary import rotate


class LatentAttention(nn.Module):
    """Multi-head attention with keys and values made of one latent a position: x_BTD -> x_BTD.

    A head's query and key have `head_dim` features of content, then `rope_dim` that turn.
    Those of the key are the same for all heads.
    Source: DeepSeek-AI 2024, section 2.1.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        kv_rank: int,
        head_dim: int,
        rope_dim: int,
        value_dim: int,
        scale: float,
        latent_scale: float | None = None,
        q_rank: int | None = None,
        bias: bool = False,
        eps: float = 1e-6,
        dropout: float = 0.0,
        causal: bool = False,
        style: str = "half",
        apart: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.q_sizes = (head_dim, rope_dim)
        self.down_sizes = (kv_rank, rope_dim)
        self.up_sizes = (head_dim, value_dim)
        self.value_dim = value_dim
        self.spare = head_dim + rope_dim - value_dim
        self.scale = scale
        self.latent_scale = latent_scale
        self.q_rank = q_rank
        self.dropout = dropout
        self.causal = causal
        self.style = style
        self.apart = apart
        # With a cache, this many queries cost less where they go to the latents.
        dearer = 2 * kv_rank - head_dim - value_dim
        self.few = kv_rank * (head_dim + value_dim) // max(dearer, 1)
        if q_rank is None:
            self.q = nn.Linear(width, heads * (head_dim + rope_dim), bias=False)
        else:
            self.q_down = nn.Linear(width, q_rank, bias=bias)
            self.q_norm = nn.RMSNorm(q_rank, eps=eps)
            self.q_up = nn.Linear(q_rank, heads * (head_dim + rope_dim), bias=False)
        self.kv_down = nn.Linear(width, kv_rank + rope_dim, bias=bias)
        self.kv_norm = nn.RMSNorm(kv_rank, eps=eps)
        self.kv_up = nn.Linear(kv_rank, heads * (head_dim + value_dim), bias=False)
        self.out = nn.Linear(heads * value_dim, width, bias=bias)

    def forward(
        self,
        x_BTD: Tensor,
        rope: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        B, T = x_BTD.shape[:2]
        q = self.q(x_BTD) if self.q_rank is None else self.q_up(self.q_norm(self.q_down(x_BTD)))
        q_BHTK = q.view(B, T, self.heads, -1).transpose(1, 2)
        q_BHTK, turned_BHTK = q_BHTK.split(self.q_sizes, dim=-1)
        latent_BSL, turned_BSK = self.kv_down(x_BTD).split(self.down_sizes, dim=-1)
        latent_BSL = self.kv_norm(latent_BSL)
        if self.latent_scale is not None:
            latent_BSL = latent_BSL * self.latent_scale
        if rope is not None:
            turned_BHTK = rotate(turned_BHTK, rope, self.style, None)
            if self.apart:
                # The angles may be those of each row.
                turned_BSK = rotate(turned_BSK.unsqueeze(1), rope, self.style, None).squeeze(1)
            else:
                turned_BSK = rotate(turned_BSK, rope, self.style, None)
        if cache is not None:
            kept_BSL = cache.extend(torch.cat((latent_BSL, turned_BSK), dim=-1), 1)
            latent_BSL, turned_BSK = kept_BSL.split(self.down_sizes, dim=-1)
        causal = self.causal and mask is None
        table = cache.lower_right(x_BTD) if causal and cache is not None else mask
        if cache is not None and cache.position > 0 and self.few >= T:
            y_BHTZ = self.absorbed(q_BHTK, turned_BHTK, latent_BSL, turned_BSK, table)
        else:
            first = causal and (cache is None or (table is None and T > 1))
            y_BHTZ = self.expanded(q_BHTK, turned_BHTK, latent_BSL, turned_BSK, table, first)
        return self.out(y_BHTZ.transpose(1, 2).reshape(B, T, -1))

    def expanded(
        self,
        q_BHTK: Tensor,
        turned_BHTK: Tensor,
        latent_BSL: Tensor,
        turned_BSK: Tensor,
        mask: Tensor | None,
        first: bool,
    ) -> Tensor:
        """Make the keys and values of all heads, and read them."""
        B, S = latent_BSL.shape[:2]
        kv_BHSK = self.kv_up(latent_BSL).view(B, S, self.heads, -1).transpose(1, 2)
        k_BHSK, v_BHSZ = kv_BHSK.split(self.up_sizes, dim=-1)
        turned_BHSK = turned_BSK.unsqueeze(1).expand(-1, self.heads, -1, -1)
        if self.spare > 0 and v_BHSZ.is_cpu and not self.training:
            # A CPU's fused attention wants values as wide as keys. To train, it is slower for that.
            v_BHSZ = F.pad(v_BHSZ, (0, self.spare))
        y_BHTZ = F.scaled_dot_product_attention(
            torch.cat((q_BHTK, turned_BHTK), dim=-1),
            torch.cat((k_BHSK, turned_BHSK), dim=-1),
            v_BHSZ,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=first,
            scale=self.scale,
        )
        return y_BHTZ[..., : self.value_dim]

    def absorbed(
        self, q_BHTK: Tensor, turned_BHTK: Tensor, latent_BSL: Tensor, turned_BSK: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Do the same without keys and values: queries go to the latents, what they read comes back."""
        up_HKL = self.kv_up.weight.view(self.heads, -1, latent_BSL.size(-1))
        k_HKL, v_HZL = up_HKL.split(self.up_sizes, dim=1)
        q_BHTL = q_BHTK @ k_HKL
        scores = q_BHTL.flatten(1, 2) @ latent_BSL.mT
        scores = scores + turned_BHTK.flatten(1, 2) @ turned_BSK.mT
        score_BHTS = scores.view(*q_BHTK.shape[:-1], -1) * self.scale
        if mask is not None:
            # Where all is hidden, as before a padded position, any number will do.
            least = torch.finfo(score_BHTS.dtype).min
            score_BHTS = score_BHTS.masked_fill(~mask, least)
        share_BHTS = score_BHTS.softmax(dim=-1)
        if self.dropout > 0:
            share_BHTS = F.dropout(share_BHTS, self.dropout, self.training)
        read_BHTL = (share_BHTS.flatten(1, 2) @ latent_BSL).view_as(q_BHTL)
        return read_BHTL @ v_HZL.mT
