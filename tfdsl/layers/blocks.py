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


def begun(place_BT: Tensor, size: int) -> Tensor:
    """Return where in its block the document of each position begins: (B, Q, T).

    Below 0 it begins in an earlier block. What fills up the last block is of the last
    document.
    """
    T = place_BT.size(1)
    here_S = torch.arange(T + -T % size, device=place_BT.device)
    first_BS = (here_S[:T] - place_BT)[:, here_S.clamp(max=T - 1)]
    return (first_BS - here_S // size * size).unflatten(1, (-1, size))


def decays(log_BQTH: Tensor, begun_BQT: Tensor | None = None) -> Tensor:
    """Return what is left at position t of what s of its block has added: (B, Q, H, T, S).

    `log_BQTH` sums the logarithms of the decays from the start of a block on. For s > t
    it is 0.
    """
    log_BQHT = log_BQTH.transpose(-1, -2)
    size = log_BQHT.size(-1)
    ahead_TS = log_BQHT.new_ones(size, size, dtype=torch.bool).triu(1)
    between_BQHTS = log_BQHT.unsqueeze(-1) - log_BQHT.unsqueeze(-2)
    if begun_BQT is not None:
        # Nor is anything left of another document.
        place_S = torch.arange(size, device=begun_BQT.device)
        ahead_TS = ahead_TS | (place_S < begun_BQT.unsqueeze(-1)).unsqueeze(2)
    return between_BQHTS.masked_fill(ahead_TS, -math.inf).exp()
