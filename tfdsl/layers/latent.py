"""latent: attention that keeps one small latent of each position, of which keys and values are made."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.attention import rotate
from tfdsl.layers.cache import Cache


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
        q_rank: int | None = None,
        bias: bool = False,
        eps: float = 1e-6,
        dropout: float = 0.0,
        causal: bool = False,
        style: str = "half",
    ) -> None:
        super().__init__()
        self.heads = heads
        self.q_sizes = (head_dim, rope_dim)
        self.down_sizes = (kv_rank, rope_dim)
        self.up_sizes = (head_dim, value_dim)
        self.scale = scale
        self.q_rank = q_rank
        self.dropout = dropout
        self.causal = causal
        self.style = style
        # With a cache, this many queries cost less where they go to the latents.
        spared, added = kv_rank * (head_dim + value_dim), 2 * kv_rank - head_dim - value_dim
        self.few = spared // max(added, 1)
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
        if self.q_rank is None:
            q = self.q(x_BTD)
        else:
            q = self.q_up(self.q_norm(self.q_down(x_BTD)))
        q_BHTK = q.view(B, T, self.heads, -1).transpose(1, 2)
        latent_BSR, turned_BSP = self.kv_down(x_BTD).split(self.down_sizes, dim=-1)
        latent_BSR = self.kv_norm(latent_BSR)
        if rope is not None:
            content_BHTK, turned_BHTP = q_BHTK.split(self.q_sizes, dim=-1)
            turned_BHTP = rotate(turned_BHTP, rope, self.style, None)
            q_BHTK = torch.cat((content_BHTK, turned_BHTP), dim=-1)
            turned_BSP = rotate(turned_BSP, rope, self.style, None)
        if cache is not None:
            kept_BSR = cache.extend(torch.cat((latent_BSR, turned_BSP), dim=-1), 1)
            latent_BSR, turned_BSP = kept_BSR.split(self.down_sizes, dim=-1)
        causal = self.causal and mask is None
        table = cache.lower_right(x_BTD) if causal and cache is not None else mask
        if cache is not None and cache.position > 0 and T <= self.few:
            y_BHTK = self.absorbed(q_BHTK, latent_BSR, turned_BSP, table)
        else:
            y_BHTK = self.expanded(q_BHTK, latent_BSR, turned_BSP, table, causal and latent_BSR.size(1) == T)
        return self.out(y_BHTK.transpose(1, 2).reshape(B, T, -1))

    def expanded(
        self, q_BHTK: Tensor, latent_BSR: Tensor, turned_BSP: Tensor, mask: Tensor | None, causal: bool
    ) -> Tensor:
        """Make the keys and values of all heads, and read them."""
        B, S = latent_BSR.shape[:2]
        kv_BHSK = self.kv_up(latent_BSR).view(B, S, self.heads, -1).transpose(1, 2)
        k_BHSK, v_BHSK = kv_BHSK.split(self.up_sizes, dim=-1)
        turned_BHSP = turned_BSP.unsqueeze(1).expand(-1, self.heads, -1, -1)
        return F.scaled_dot_product_attention(
            q_BHTK,
            torch.cat((k_BHSK, turned_BHSP), dim=-1),
            v_BHSK,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
            scale=self.scale,
        )

    def absorbed(self, q_BHTK: Tensor, latent_BSR: Tensor, turned_BSP: Tensor, mask: Tensor | None) -> Tensor:
        """Do the same without keys and values: queries go to the latents, what they read comes back."""
        up_HKR = self.kv_up.weight.view(self.heads, -1, latent_BSR.size(-1))
        k_HKR, v_HKR = up_HKR.split(self.up_sizes, dim=1)
        q_BHTK, q_BHTP = q_BHTK.split(self.q_sizes, dim=-1)
        q_BHTR = q_BHTK @ k_HKR
        score_BHTS = q_BHTR.flatten(1, 2) @ latent_BSR.mT + q_BHTP.flatten(1, 2) @ turned_BSP.mT
        score_BHTS = score_BHTS.view(*q_BHTK.shape[:-1], -1) * self.scale
        if mask is not None:
            # Where all is hidden, as before a padded position, any number will do.
            score_BHTS = score_BHTS.masked_fill(~mask, torch.finfo(score_BHTS.dtype).min)
        share_BHTS = score_BHTS.softmax(dim=-1)
        if self.dropout > 0:
            share_BHTS = F.dropout(share_BHTS, self.dropout, self.training)
        read_BHTR = (share_BHTS.flatten(1, 2) @ latent_BSR).view_as(q_BHTR)
        return read_BHTR @ v_HKR.mT
