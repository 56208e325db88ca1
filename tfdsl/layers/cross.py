"""cross: attention whose keys and values come from another sequence."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache, once


class CrossAttention(nn.Module):
    """Attention with keys and values from another sequence: x_BTD, memory_BSM -> x_BTD.

    Source: Vaswani et al. 2017, section 3.2.3.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        memory_width: int | None = None,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: str = "",
        out_bias: bool = False,
        dropout: float = 0.0,
        scale: float | None = None,
        qk_norm: str | None = None,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads
        self.head_dim = width // heads if head_dim is None else head_dim
        self.dropout = dropout
        self.scale = scale
        self.qk_norm = qk_norm
        self.q = nn.Linear(width, heads * self.head_dim, bias="q" in bias)
        self.bias = bias
        # One projection for keys and values.
        rows = 2 * heads * self.head_dim if kv_heads is None else 2 * kv_heads * self.head_dim
        if memory_width is None:
            self.kv = nn.Linear(width, rows, bias="k" in bias and "v" in bias)
        else:
            self.kv = nn.Linear(memory_width, rows, bias="k" in bias and "v" in bias)
        if "k" in bias and "v" not in bias:
            self.k_bias = nn.Parameter(torch.zeros(rows // 2))
        if "v" in bias and "k" not in bias:
            self.v_bias = nn.Parameter(torch.zeros(rows // 2))
        if qk_norm == "rms":
            self.q_norm = nn.RMSNorm(self.head_dim, eps=eps)
            self.k_norm = nn.RMSNorm(self.head_dim, eps=eps)
        elif qk_norm == "layer":
            self.q_norm = nn.LayerNorm(self.head_dim, eps=eps)
            self.k_norm = nn.LayerNorm(self.head_dim, eps=eps)
        self.out = nn.Linear(heads * self.head_dim, width, bias=out_bias)

    def forward(
        self, x_BTD: Tensor, memory_BSM: Tensor, mask: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        B, T = x_BTD.shape[:2]
        q_BHTK = self.q(x_BTD).view(B, T, self.heads, self.head_dim).transpose(1, 2)
        if self.qk_norm is not None:
            q_BHTK = self.q_norm(q_BHTK)
        k_BHSK, v_BHSK = once(cache, self.read, memory_BSM).chunk(2, dim=1)
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK,
            k_BHSK,
            v_BHSK,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
            enable_gqa=self.kv_heads is not None,
        )
        return self.out(y_BHTK.transpose(1, 2).reshape(B, T, -1))

    def read(self, memory_BSM: Tensor) -> Tensor:
        """Return the keys and values of every position, heads one behind the other."""
        B, S = memory_BSM.shape[:2]
        kv = self.kv(memory_BSM)
        if "k" in self.bias and "v" not in self.bias:
            kv = kv + F.pad(self.k_bias, (0, self.k_bias.numel()))
        if "v" in self.bias and "k" not in self.bias:
            kv = kv + F.pad(self.v_bias, (self.v_bias.numel(), 0))
        kv_BHSK = kv.view(B, S, -1, self.head_dim).transpose(1, 2)
        if self.qk_norm is not None:
            k_BHSK, v_BHSK = kv_BHSK.chunk(2, dim=1)
            kv_BHSK = torch.cat((self.k_norm(k_BHSK), v_BHSK), dim=1)
        return kv_BHSK
