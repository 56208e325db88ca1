"""masks: which keys a query may read, as boolean tables that are made once a forward."""

from __future__ import annotations

import torch
from torch import Tensor


def causal_table(x_BTD: Tensor, start: int = 0, window: int | None = None) -> Tensor:
    """Return a (T, S) table, true where a key does not come after the query.

    The T queries stand behind `start` earlier positions: S = start + T.
    """
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    query_T1 = key_S[start:].unsqueeze(1)
    table_TS = key_S <= query_T1
    if window is not None:
        # At most `window` keys, its own position among them.
        table_TS = table_TS & (key_S > query_T1 - window)
    return table_TS


def window_table(x_BTD: Tensor, window: int) -> Tensor:
    """Return a (T, T) table, true where query and key are fewer than `window` apart."""
    place_T = torch.arange(x_BTD.size(1), device=x_BTD.device)
    return (place_T - place_T.unsqueeze(1)).abs() < window
