"""first: attention of the first positions to all, with projections of its own."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class GlobalTokens(nn.Module):
    """What the first `tokens` positions read of all: x_BTD -> y_BHGK.

    `mask` says which positions are real. Source: Beltagy et al. 2020, section 3.1.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        tokens: int,
        head_dim: int | None = None,
        bias: bool = False,
        dropout: float = 0.0,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.tokens = tokens
        self.head_dim = width // heads if head_dim is None else head_dim
        self.dropout = dropout
        self.scale = scale
        self.q = nn.Linear(width, heads * self.head_dim, bias=bias)
        self.kv = nn.Linear(width, 2 * heads * self.head_dim, bias=bias)

    def forward(self, x_BTD: Tensor, mask: Tensor) -> Tensor:
        q_BHGK = self.q(x_BTD[:, : self.tokens]).unflatten(2, (self.heads, -1)).transpose(1, 2)
        k_BHTK, v_BHTK = self.kv(x_BTD).unflatten(2, (2 * self.heads, -1)).transpose(1, 2).chunk(2, dim=1)
        return F.scaled_dot_product_attention(
            q_BHGK,
            k_BHTK,
            v_BHTK,
            attn_mask=mask[..., : self.tokens, :],
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
        )
