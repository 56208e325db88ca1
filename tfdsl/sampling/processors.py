"""From logits to the next token: pure functions, applied in the order of `choose`."""

from __future__ import annotations

import torch
from torch import Tensor


def temper(logits_V: Tensor, temperature: float) -> Tensor:
    """Divide the logits by the temperature, the highest moved to 0 first so that none overflows."""
    return (logits_V - logits_V.max()) / temperature


def top_k(logits_V: Tensor, k: int) -> Tensor:
    """Leave the k highest logits and set the rest to minus infinity; of equal ones the lower token stays."""
    if k >= logits_V.numel():
        return logits_V
    least = logits_V.topk(k).values[-1]
    above = logits_V > least
    level = logits_V == least
    allowed = level & (level.cumsum(0) <= k - above.sum())
    return logits_V.masked_fill(~(above | allowed), -torch.inf)


def top_p(logits_V: Tensor, p: float) -> Tensor:
    """Leave the fewest tokens, likeliest first, whose probabilities reach `p`; of equal ones the lower token first.

    Holtzman et al., 2020: at least one token stays. Probabilities are summed in float64.
    """
    ranked, order = logits_V.double().softmax(0).sort(descending=True, stable=True)
    before = ranked.cumsum(0) - ranked
    dropped = torch.zeros_like(logits_V, dtype=torch.bool).scatter(0, order, before >= p)
    return logits_V.masked_fill(dropped, -torch.inf)


def draw(logits_V: Tensor, point: float) -> int:
    """Return the token whose stretch of the cumulated probabilities holds `point` (0 to 1)."""
    edges = logits_V.double().softmax(0).cumsum(0)
    return int(torch.searchsorted(edges, edges[-1] * point, right=True))


def choose(logits_V: Tensor, temperature: float, k: int | None, p: float | None, point: float) -> int:
    """Return the next token: temperature, then top-k, then top-p, then the draw. Temperature 0 takes the likeliest."""
    if temperature == 0:
        return int(logits_V.argmax())
    logits_V = temper(logits_V, temperature)
    if k is not None:
        logits_V = top_k(logits_V, k)
    if p is not None and p < 1:
        logits_V = top_p(logits_V, p)
    return draw(logits_V, point)
