"""masks: which keys a query may read, as boolean tables that are made once a forward."""

from __future__ import annotations

import torch
from torch import Tensor


def same_document(begin_BS: Tensor, x_BTD: Tensor) -> Tensor:
    """Return a (B, 1, T, S) table, true where query and key are of one document; the queries are the last positions."""
    begin_BT = begin_BS[:, -x_BTD.size(1) :]
    return (begin_BT.unsqueeze(2) == begin_BS.unsqueeze(1)).unsqueeze(1)


def paired_documents(begin_BT: Tensor | None, begin_BS: Tensor | None, x_BTD: Tensor) -> Tensor | None:
    """Return a (B, 1, T, S) table, true where a query's document and a key's, of other rows, have one number there.

    The queries are the last of those whose documents begin at `begin_BT`. None where all rows are one document.
    """
    if begin_BT is None and begin_BS is None:
        return None
    if begin_BT is None or begin_BS is None:
        raise ValueError("documents that read each other are told of on both sides, or on none")
    number_BT, number_BS = numbers(begin_BT)[:, -x_BTD.size(1) :], numbers(begin_BS)
    return (number_BT.unsqueeze(2) == number_BS.unsqueeze(1)).unsqueeze(1)


def numbers(begin_BS: Tensor) -> Tensor:
    """Return the number of each position's document in its row, from 1: (B, S)."""
    return (begin_BS == torch.arange(begin_BS.size(1), device=begin_BS.device)).cumsum(dim=1)


def first_and_newest(seen_BS: Tensor, count: int, first: int) -> Tensor:
    """Return `count` of the flags of all positions so far: the `first` ones, and the newest of the others."""
    return torch.cat((seen_BS[:, :first], seen_BS[:, seen_BS.size(1) - count + first :]), dim=1)


def causal_table(
    x_BTD: Tensor,
    start: int = 0,
    window: int | None = None,
    tokens: int | None = None,
    whole: int | None = None,
    begin_BS: Tensor | None = None,
) -> Tensor:
    """Return a (T, S) table, true where a key does not come after the query.

    The T queries stand behind `start` earlier positions: S = start + T.
    """
    if whole is not None and start == 0 and x_BTD.size(1) > whole:
        # One row for all queries: the layer takes a long sequence in blocks, and they hide the rest.
        return torch.ones(1, 1, dtype=torch.bool, device=x_BTD.device)
    if begin_BS is not None and window is None and x_BTD.size(1) == 1:
        # No key comes after the newest position.
        return same_document(begin_BS, x_BTD)
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    query_T1 = key_S[start:].unsqueeze(1)
    table_TS = key_S <= query_T1
    if window is not None and tokens is not None:
        # At most `window` keys, its own position among them, and the first `tokens`.
        if begin_BS is not None:
            # The first ones of its document.
            first_B1TS = (key_S - begin_BS < tokens)[:, None, None, :]
            table_TS = table_TS & ((key_S > query_T1 - window) | first_B1TS)
        else:
            table_TS = table_TS & ((key_S > query_T1 - window) | (key_S < tokens))
    elif window is not None:
        # At most `window` keys, its own position among them.
        table_TS = table_TS & (key_S > query_T1 - window)
    if begin_BS is not None:
        # The keys of its own document alone; a cache may hold the newest ones alone.
        return table_TS & same_document(begin_BS[:, -key_S.size(0) :], x_BTD)
    return table_TS


def window_table(
    x_BTD: Tensor,
    window: int,
    tokens: int | None = None,
    whole: int | None = None,
    begin_BS: Tensor | None = None,
) -> Tensor:
    """Return a (T, T) table, true where query and key are fewer than `window` apart."""
    if whole is not None and x_BTD.size(1) > whole:
        # One row for all queries: the layer takes a long sequence in blocks, and they hide the rest.
        return torch.ones(1, 1, dtype=torch.bool, device=x_BTD.device)
    place_T = torch.arange(x_BTD.size(1), device=x_BTD.device)
    table_TS = (place_T - place_T.unsqueeze(1)).abs() < window
    if tokens is not None and begin_BS is not None:
        # The first ones of a document see all of it and are seen by all of it.
        first_BT = place_T - begin_BS < tokens
        table_TS = table_TS | first_BT[:, None, None, :] | first_BT[:, None, :, None]
    elif tokens is not None:
        # The first ones see all and are seen by all.
        table_TS = table_TS | (place_T < tokens) | (place_T.unsqueeze(1) < tokens)
    if begin_BS is not None:
        # The keys of its own document alone.
        return table_TS & same_document(begin_BS, x_BTD)
    return table_TS


def step_table(
    x_BTD: Tensor,
    start: int = 0,
    window: int = 1,
    step: int = 1,
    causal: bool = True,
    whole: int | None = None,
    begin_BS: Tensor | None = None,
) -> Tensor:
    """Return a (T, S) table, true where a key is 0, 1, ... or `window - 1` steps before (or after) the query."""
    if whole is not None and start == 0 and x_BTD.size(1) > whole:
        # One row for all queries: the layer takes a long sequence in blocks, and they hide the rest.
        return torch.ones(1, 1, dtype=torch.bool, device=x_BTD.device)
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    back_TS = key_S[start:].unsqueeze(1) - key_S
    table_TS = (back_TS % step == 0) & (back_TS.abs() < window * step)
    if causal:
        table_TS = table_TS & (back_TS >= 0)
    if begin_BS is not None:
        # The keys of its own document alone; a cache may hold the newest ones alone.
        return table_TS & same_document(begin_BS[:, -key_S.size(0) :], x_BTD)
    return table_TS


def chunk_table(
    x_BTD: Tensor,
    start: int = 0,
    size: int = 1,
    causal: bool = True,
    whole: int | None = None,
    held: int | None = None,
    begin_BS: Tensor | None = None,
) -> Tensor:
    """Return a (T, S) table, true where query and key stand in one chunk of `size` positions.

    Of earlier positions it spans the newest `held - 1`.
    """
    if whole is not None and start == 0 and x_BTD.size(1) > whole:
        # One row for all queries: the layer takes a long sequence in chunks, and they hide the rest.
        return torch.ones(1, 1, dtype=torch.bool, device=x_BTD.device)
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    query_T1 = key_S[start:].unsqueeze(1)
    if held is not None:
        key_S = key_S[max(start - held + 1, 0) :]
    if begin_BS is not None:
        # The chunks of each document begin with it.
        begin_BS = begin_BS[:, -key_S.size(0) :]
        table_TS = same_document(begin_BS + (key_S - begin_BS) // size * size, x_BTD)
    else:
        table_TS = key_S // size == query_T1 // size
    if causal:
        table_TS = table_TS & (key_S <= query_T1)
    return table_TS


def prefix_table(x_BTD: Tensor, start: int = 0, length: int = 0, begin_BS: Tensor | None = None) -> Tensor:
    """Return a (T, S) table: the first `length` positions are seen by all, the others by those that follow them."""
    cut = start > 0 and start < length
    if begin_BS is not None and start > 0 and not torch.compiler.is_compiling():
        place_B = start - begin_BS[:, start]
        cut = bool(((place_B > 0) & (place_B < length)).any())
    if cut:
        raise ValueError(f"the first {length} positions see each other: the first forward must hold all of them")
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    if begin_BS is not None:
        # The first positions of its own document.
        first_B1TS = (key_S - begin_BS < length)[:, None, None, :]
        return ((key_S <= key_S[start:].unsqueeze(1)) | first_B1TS) & same_document(begin_BS, x_BTD)
    return (key_S <= key_S[start:].unsqueeze(1)) | (key_S < length)
