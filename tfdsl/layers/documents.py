"""documents: which document of a row each position belongs to, and its place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from tfdsl.layers.cache import Cache


def newest(documents_BT: Tensor, start: int = 0) -> Tensor:
    """Return where the document of each position begins, counted from `start`: (B, T).

    One begins where the number changes.
    """
    new_BT = F.pad(documents_BT[:, 1:] != documents_BT[:, :-1], (1, 0), value=True)
    place_T = torch.arange(start, start + documents_BT.size(1), device=documents_BT.device)
    return (place_T * new_BT).cummax(dim=1).values


def beginnings(documents_BT: Tensor | None, x_BT: Tensor, cache: Cache | None = None) -> Tensor | None:
    """Return where the document of each position so far begins: (B, S); None where a row is one document."""
    if cache is not None:
        return cache.documents(documents_BT, x_BT)
    return None if documents_BT is None else newest(documents_BT)


def places(begin_BS: Tensor, x_BT: Tensor) -> Tensor:
    """Return the place of each of the last positions in its document, from 0: (B, T)."""
    S, T = begin_BS.size(1), x_BT.size(1)
    return torch.arange(S - T, S, device=begin_BS.device) - begin_BS[:, S - T :]
