"""attention: every position reads from those it may see, in its own sequence or in another."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.rotary import rotate


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: str = "",
        out_bias: bool = False,
        dropout: float = 0.0,
        scale: float | None = None,
        qk_norm: str | None = None,
        eps: float = 1e-6,
        causal: bool = False,
        style: str = "half",
        rotated: int | None = None,
        end: bool = False,
        relative: nn.Module | None = None,
        blocks: nn.Module | None = None,
        first: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if kv_heads is None:
            self.heads = (heads, heads, heads)
        else:
            # A group of query heads shares each key and value head (Ainslie et al. 2023).
            self.heads = (heads, kv_heads, kv_heads)
        self.head_dim = width // heads if head_dim is None else head_dim
        self.dropout = dropout
        self.scale = scale
        self.qk_norm = qk_norm
        self.causal = causal
        self.style = style
        self.rotated = rotated
        self.end = end
        self.bias = bias
        self.kv_heads = kv_heads
        # One projection for queries, keys and values.
        if bias == "qkv":
            self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim)
        else:
            self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim, bias=False)
        if "q" in bias and bias != "qkv":
            self.q_bias = nn.Parameter(torch.zeros(self.heads[0] * self.head_dim))
        if "k" in bias and bias != "qkv":
            self.k_bias = nn.Parameter(torch.zeros(self.heads[1] * self.head_dim))
        if "v" in bias and bias != "qkv":
            self.v_bias = nn.Parameter(torch.zeros(self.heads[2] * self.head_dim))
        if qk_norm == "rms":
            self.q_norm = nn.RMSNorm(self.head_dim, eps=eps)
            self.k_norm = nn.RMSNorm(self.head_dim, eps=eps)
        elif qk_norm == "layer":
            self.q_norm = nn.LayerNorm(self.head_dim, eps=eps)
            self.k_norm = nn.LayerNorm(self.head_dim, eps=eps)
        self.relative = relative
        self.blocks = blocks
        self.first = first
        self.out = nn.Linear(heads * self.head_dim, width, bias=out_bias)

    def forward(
        self,
        x_BTD: Tensor,
        rope: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        B, T = x_BTD.shape[:2]
        parts = self.qkv(x_BTD).view(B, T, -1, self.head_dim).split(self.heads, dim=2)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        if "q" in self.bias and self.bias != "qkv":
            q_BHTK = q_BHTK + self.q_bias.view(-1, 1, self.head_dim)
        if "k" in self.bias and self.bias != "qkv":
            k_BHTK = k_BHTK + self.k_bias.view(-1, 1, self.head_dim)
        if "v" in self.bias and self.bias != "qkv":
            v_BHTK = v_BHTK + self.v_bias.view(-1, 1, self.head_dim)
        if self.qk_norm is not None:
            q_BHTK, k_BHTK = self.q_norm(q_BHTK), self.k_norm(k_BHTK)
        if rope is not None:
            q_BHTK = rotate(q_BHTK, rope, self.style, self.rotated, self.end)
            k_BHTK = rotate(k_BHTK, rope, self.style, self.rotated, self.end)
        if cache is not None:
            k_BHTK, v_BHTK = cache.extend(k_BHTK, 2), cache.extend(v_BHTK, 2)
        causal = self.causal and mask is None
        if self.relative is not None:
            table = self.relative(q_BHTK, k_BHTK, mask)
        else:
            table = cache.lower_right(x_BTD) if causal and cache is not None else mask
        if self.blocks is not None and mask is not None and mask.size(-2) < T:
            # The mask of a long sequence tells padding alone; what else is hidden, the blocks leave out.
            y_BHTK = self.blocks(q_BHTK, k_BHTK, v_BHTK, mask)
        else:
            y_BHTK = F.scaled_dot_product_attention(
                q_BHTK,
                k_BHTK,
                v_BHTK,
                attn_mask=table,
                dropout_p=self.dropout if self.training else 0.0,
                is_causal=causal and (cache is None or k_BHTK.size(2) == T),
                scale=self.scale,
                enable_gqa=self.kv_heads is not None,
            )
        if self.first is not None:
            first_BHGK = self.first(x_BTD, mask)
            y_BHTK = torch.cat((first_BHGK, y_BHTK[:, :, first_BHGK.size(2) :]), dim=2)
        return self.out(y_BHTK.transpose(1, 2).reshape(B, T, -1))
