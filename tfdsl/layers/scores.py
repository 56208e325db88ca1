"""scores: what is done to scores of queries and keys that a model computes itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def later(score: Tensor) -> Tensor:
    """Return a (T, S) table, true where a key comes after the query; the last query and the last key are one place."""
    T, S = score.shape[-2:]
    return torch.ones(T, S, dtype=torch.bool, device=score.device).triu(S - T + 1)


def far(score: Tensor, window: int) -> Tensor:
    """Return a (T, S) table, true where query and key are `window` or more places apart."""
    T, S = score.shape[-2:]
    key_S = torch.arange(S, device=score.device)
    query_T1 = torch.arange(S - T, S, device=score.device).unsqueeze(1)
    return (key_S - query_T1).abs() >= window


def softmax_of_seen(score: Tensor, hidden: Tensor, dim: int, empty: bool = False) -> Tensor:
    """Return the softmax of what is not hidden; with `empty`, a query may see nothing, and gets zeros."""
    low = torch.zeros(hidden.shape, dtype=score.dtype, device=score.device)
    if empty:
        nothing = hidden.all(dim=dim, keepdim=True)
        share = (score + low.masked_fill(hidden & ~nothing, -math.inf)).softmax(dim=dim)
        return torch.where(nothing, 0.0, share)
    else:
        return (score + low.masked_fill(hidden, -math.inf)).softmax(dim=dim)
