"""draw: from logits to tokens, with a stream of random numbers for each row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 64  # numbers that are made at once


class Undrawable(ValueError):
    """No token can be drawn: a score is no number, or every token is ruled out. `help` says what can be done."""

    def __init__(self, message: str = "", help: str = "") -> None:
        super().__init__(message)
        self.help = help


class Stream:
    """Numbers from 0 to 1, one a token: a function of the seed alone, whatever is drawn beside it."""

    def __init__(self, seed: int) -> None:
        self._made = torch.Generator().manual_seed(seed % 2**63)
        self._block: list[float] = []

    def next(self) -> float:
        """Return the next number."""
        if not self._block:
            self._block = torch.rand(BLOCK, generator=self._made, dtype=torch.float64).tolist()[::-1]
        return self._block.pop()


def draw(logits_BV: Tensor, points: Sequence[float]) -> list[int]:
    """Return for each row the token whose stretch of the cumulated probabilities holds its point (0 to 1).

    Probabilities are summed in float64, in the order of the tokens. Raises Undrawable where a row has none.
    """
    edges_BV = logits_BV.double().softmax(-1).cumsum(-1)
    wanted_B1 = edges_BV[:, -1:] * torch.tensor(points, dtype=torch.float64, device=logits_BV.device)[:, None]
    found: list[int] = torch.searchsorted(edges_BV, wanted_B1, right=True)[:, 0].tolist()
    if max(found) == logits_BV.size(-1):
        raise Undrawable
    return found


def likeliest(logits_BV: Tensor) -> list[int]:
    """Return each row's token of the highest logit, of equal ones the first; raises Undrawable where there is none."""
    token_B = logits_BV.argmax(-1)
    found: list[int] = token_B.tolist()
    highest: list[float] = logits_BV.gather(-1, token_B[:, None])[:, 0].tolist()
    if any(each != each or each == -torch.inf for each in highest):
        raise Undrawable
    return found
