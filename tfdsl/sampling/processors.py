"""processors: functions of logits [B, V] that rule tokens out or change their chances, over the whole vocabulary.

Each is pure; of equal logits, the lower token comes first. `chain` puts them into their order.
"""

from __future__ import annotations

import torch
from torch import Tensor


def temper(logits_BV: Tensor, temperature: float) -> Tensor:
    """Divide the logits by the temperature, the highest of a row moved to 0 first so that none overflows."""
    return (logits_BV - logits_BV.amax(-1, keepdim=True)) / temperature


def top_k(logits_BV: Tensor, k: int) -> Tensor:
    """Leave the k highest logits and set the rest to minus infinity."""
    if k >= logits_BV.size(-1):
        return logits_BV
    least_B1 = logits_BV.topk(k).values[..., -1:]
    kept_BV = logits_BV >= least_B1
    if int(kept_BV.sum()) > k * (kept_BV.numel() // kept_BV.size(-1)):  # several are as high as the k-th
        above_BV = logits_BV > least_B1
        level_BV = kept_BV & ~above_BV
        kept_BV = above_BV | (level_BV & (level_BV.cumsum(-1) <= k - above_BV.sum(-1, keepdim=True)))
    return logits_BV.masked_fill(~kept_BV, -torch.inf)


def top_p(logits_BV: Tensor, p: float) -> Tensor:
    """Leave the fewest tokens, likeliest first, whose probabilities reach `p`, one at least.

    Holtzman et al., 2020. Probabilities are summed in float64.
    """
    ranked_BV, order_BV = logits_BV.double().softmax(-1).sort(descending=True, stable=True)
    before_BV = ranked_BV.cumsum(-1) - ranked_BV
    dropped_BV = torch.zeros_like(logits_BV, dtype=torch.bool).scatter(-1, order_BV, before_BV >= p)
    return logits_BV.masked_fill(dropped_BV, -torch.inf)
