"""documents: which document of a row each position belongs to, and its place in it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl.layers.cache import Cache


def beginnings(documents_BT: Tensor | None, x_BT: Tensor, cache: Cache | None = None) -> Tensor | None:
    """Return where the document of each position so far begins: (B, S); None where a row is one document.

    One begins where the number changes.
    """
    documents_BS = documents_BT if cache is None else cache.documents(documents_BT, x_BT)
    if documents_BS is None:
        return None
    new_BS = F.pad(documents_BS[:, 1:] != documents_BS[:, :-1], (1, 0), value=True)
    place_S = torch.arange(documents_BS.size(1), device=documents_BS.device)
    return (place_S * new_BS).cummax(dim=1).values


def places(begin_BS: Tensor, x_BT: Tensor) -> Tensor:
    """Return the place of each of the last positions in its document, from 0: (B, T)."""
    place_S = torch.arange(begin_BS.size(1), device=begin_BS.device)
    return (place_S - begin_BS)[:, -x_BT.size(1) :]
