"""pooling: one vector for a sequence, its padding left out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def mean_of_kept(x_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """Return the mean over the positions that are kept: x_BTD -> x_BD."""
    keep_BT1 = keep_BT.unsqueeze(-1).to(x_BTD.dtype)
    return (x_BTD * keep_BT1).sum(dim=1) / keep_BT1.sum(dim=1).clamp(min=1)


def max_of_kept(x_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """Return each feature's greatest value over the positions that are kept: x_BTD -> x_BD."""
    return x_BTD.masked_fill(~keep_BT.unsqueeze(-1), -math.inf).amax(dim=1)


def last_of_kept(x_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """Return the last position that is kept: x_BTD -> x_BD."""
    place_T = torch.arange(keep_BT.size(1), device=keep_BT.device)
    last_B = (place_T * keep_BT).amax(dim=1)
    return x_BTD[torch.arange(x_BTD.size(0), device=x_BTD.device), last_B]


def row_at(x_BTD: Tensor, place_B: Tensor) -> Tensor:
    """Return one position of each row: x_BTD -> x_BD."""
    return x_BTD[torch.arange(x_BTD.size(0), device=x_BTD.device), place_B]


def first_of(token_BT: Tensor, word: int) -> Tensor:
    """Return the first position of a word in each row; 0 where it has none."""
    return (token_BT == word).int().argmax(dim=-1)


class AttentionPool(nn.Module):
    """One learned query that reads from all positions: x_BTD -> x_BD (Lee et al. 2019, section 3.2)."""

    def __init__(self, width: int, heads: int, bias: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.zeros(width))
        self.q = nn.Linear(width, width, bias=bias)
        self.kv = nn.Linear(width, 2 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x_BTD: Tensor, keep_BT: Tensor | None = None) -> Tensor:
        B, T, D = x_BTD.shape
        q_1H1K = self.q(self.query.unsqueeze(0)).view(1, self.heads, 1, -1)
        kv_BTHK = self.kv(x_BTD).view(B, T, 2 * self.heads, -1)
        k_BHTK, v_BHTK = kv_BTHK.transpose(1, 2).chunk(2, dim=1)
        seen = None if keep_BT is None else keep_BT[:, None, None, :]
        y_BH1K = F.scaled_dot_product_attention(q_1H1K.expand(B, -1, -1, -1), k_BHTK, v_BHTK, attn_mask=seen)
        return self.out(y_BH1K.reshape(B, D))
