"""blocks: a sequence cut into blocks of positions, between which a state goes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def in_blocks(x_BT: Tensor, size: int) -> Tensor:
    """Return a sequence in blocks, zeros behind its end: (B, T, ...) -> (B, Q, T, ...)."""
    zeros = (0, 0) * (x_BT.dim() - 2) + (0, -x_BT.size(1) % size)
    return F.pad(x_BT, zeros).unflatten(1, (-1, size))


def decays(log_BQTH: Tensor) -> Tensor:
    """Return what is left at position t of what s of its block has added: (B, Q, H, T, S).

    `log_BQTH` sums the logarithms of the decays from the start of a block on. For s > t
    it is 0.
    """
    log_BQHT = log_BQTH.transpose(-1, -2)
    size = log_BQHT.size(-1)
    ahead_TS = log_BQHT.new_ones(size, size, dtype=torch.bool).triu(1)
    between_BQHTS = log_BQHT.unsqueeze(-1) - log_BQHT.unsqueeze(-2)
    return between_BQHTS.masked_fill(ahead_TS, -math.inf).exp()
