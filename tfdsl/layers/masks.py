"""masks: which keys a query may read, as boolean tables that are made once a forward."""

from __future__ import annotations

import torch
from torch import Tensor


def causal_mask(x_BTD: Tensor, start: int = 0, window: int | None = None) -> Tensor:
    """Return mask_TS, true where a query may read a key: itself and those before it.

    The T queries stand behind `start` earlier positions, so there are S = start + T keys.
    """
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    query_T1 = key_S[start:].unsqueeze(1)
    mask_TS = key_S <= query_T1
    if window is not None:
        # At most `window` keys, its own position among them.
        mask_TS = mask_TS & (key_S > query_T1 - window)
    return mask_TS
