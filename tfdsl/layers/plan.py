"""plan: which blocks of keys a block of queries reads, in block-sparse attention."""

from __future__ import annotations

import torch
from torch import Tensor


def drawn(legal_NM: Tensor, heads: int, count: int, seed: int) -> Tensor:
    """Draw `count` of the legal blocks for each head and row: legal_NM -> drawn_HNM, true where one was drawn.

    The draw is a function of seed, head, row and block alone, the same on every device: each block gets a number by
    mixing these four, and the `count` lowest are taken. A row that has fewer legal blocks gets all of them.
    """
    N, M = legal_NM.shape
    head_H, row_N, block_M = (torch.arange(size, device=legal_NM.device) for size in (heads, N, M))
    place_HN1 = (seed * 64 + head_H).view(-1, 1, 1) * 65521 + row_N.view(-1, 1)
    mixed_HNM = place_HN1 * 65521 + block_M
    for factor in (0x45D9F3B, 0x119DE1F3):
        mixed_HNM = ((mixed_HNM ^ (mixed_HNM >> 16)) * factor) & 0xFFFFFFFF
    mixed_HNM = mixed_HNM.masked_fill(~legal_NM, 1 << 32)
    lowest_HNR = mixed_HNM.topk(min(count, M), dim=-1, largest=False).indices
    return torch.zeros_like(mixed_HNM, dtype=torch.bool).scatter(-1, lowest_HNR, True) & legal_NM


def sparse_plan(
    blocks: int, heads: int, local: int, first: int, random: int, seed: int, causal: bool, x: Tensor
) -> Tensor:
    """Return plan_HNN, true where a block of queries reads a block of keys (Zaheer et al. 2020, section 2).

    A block reads those beside it (`local` with itself), the `first` ones at either end, and `random` others; those at
    either end read all. Where it is causal it reads no later ones: `local` with itself, the first ones, and others.
    """
    place_N = torch.arange(blocks, device=x.device)
    back_NN = place_N.unsqueeze(1) - place_N
    if causal:
        legal_NN = back_NN >= 0
        seen_NN = legal_NN & ((back_NN < local) | (place_N < first))
    else:
        legal_NN = torch.ones_like(back_NN, dtype=torch.bool)
        edge_N = (place_N < first) | (place_N >= blocks - first)
        seen_NN = (back_NN.abs() <= local // 2) | edge_N | edge_N.unsqueeze(1)
    plan_HNN = seen_NN.expand(heads, -1, -1)
    if random > 0:
        plan_HNN = plan_HNN | drawn(legal_NN & ~seen_NN, heads, random, seed)
    return plan_HNN


def sparse_table(
    x_BTD: Tensor,
    start: int = 0,
    heads: int = 1,
    block: int = 64,
    local: int = 3,
    first: int = 1,
    random: int = 3,
    seed: int = 0,
    causal: bool = False,
    full: int = 0,
    shared: int | None = None,
    whole: int | None = None,
) -> Tensor:
    """Return a table (1, H, T, S), true where a query's block reads the key's block; up to `full` positions see all."""
    length = start + x_BTD.size(1)
    if whole is not None and start == 0 and length > whole:
        # One row for all queries: the layer takes a long sequence in blocks, and they hide the rest.
        return torch.ones(1, 1, dtype=torch.bool, device=x_BTD.device)
    key_S = torch.arange(length, device=x_BTD.device)
    if length <= full:
        return torch.ones(x_BTD.size(1), length, dtype=torch.bool, device=x_BTD.device)
    block_S = key_S // block
    plan_HNN = sparse_plan(-(-length // block), heads, local, first, random, seed, causal, x_BTD)
    table_HTS = plan_HNN[:, block_S[start:].unsqueeze(1), block_S]
    if causal:
        table_HTS = table_HTS & (key_S <= key_S[start:].unsqueeze(1))
    if shared is not None:
        # So many query heads share a key head.
        table_HTS = table_HTS.repeat_interleave(shared, dim=0)
    return table_HTS.unsqueeze(0)
