"""Write many texts at once, each time the likeliest token: what a model answers, for a measurement."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor

Reader = Callable[[Tensor, int], Tensor]
Waiting = Callable[[int], int]


def alone(waiting: int) -> int:
    """Return the number of unfinished texts where one process writes."""
    return waiting


def greedy(
    read: Reader,
    start_BT: Tensor,
    *,
    end: int,
    length: int,
    cached: bool,
    never: Collection[int] = (),
    waiting: Waiting = alone,
) -> Tensor:
    """Return up to `length` tokens [B, L] that follow `start_BT`; behind its first `end`, a row holds `end` alone.

    `read(tokens_BT, first)` returns logits [B, T, V] of tokens that stand at the positions from `first` on; where what
    it keeps is `cached`, it is given each position once, else all of them each time. Tokens that are `never` written
    have no chance. `waiting` sums the unfinished rows over all processes, so that each reads as often as the others.
    """
    tokens_BT, unread_BT, first = start_BT, start_BT, 0
    done_B = torch.zeros(len(start_BT), dtype=torch.bool, device=start_BT.device)
    for _ in range(length):
        logits_BV = read(unread_BT, first)[:, -1]
        if never:
            logits_BV[:, list(never)] = -torch.inf
        next_B = torch.where(done_B, end, logits_BV.argmax(-1))
        done_B |= next_B == end
        tokens_BT = torch.cat((tokens_BT, next_B[:, None]), 1)
        if waiting(int((~done_B).sum())) == 0:
            break
        unread_BT, first = (next_B[:, None], tokens_BT.shape[1] - 1) if cached else (tokens_BT, 0)
    return tokens_BT[:, start_BT.shape[1] :]
