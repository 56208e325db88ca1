"""Attention written out on a CPU, where torch's fused kernel is slower than its definition."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 256  # queries at a time: the scores of a block stay in the cache, and keys ahead of it are never read
LONG = 1024  # keys from which the fused kernel is the faster one in float32
LOWEST = -1e30  # a score that nothing is left of, from which no sum is infinite
FUSED = F.scaled_dot_product_attention


@contextlib.contextmanager
def written_out() -> Generator[None]:
    """Have `F.scaled_dot_product_attention` take the written-out form wherever that is the faster one.

    Measured forward and backward on one core with AVX-512 BF16, torch 2.13, causal: in bfloat16 7 times as fast at 64
    tokens, 2.5 at 256, 1.8 at 1,024; in float32 with products by oneDNN (`products`) 1.7 times at 64 and 256, 2 at 512,
    1.1 at 1,024; with dropout 1.5 to 1.7 at all lengths. A mode of `torch.overrides` would do the same without a
    replaced name; it costs a small model 8 %.
    """
    F.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        F.scaled_dot_product_attention = FUSED


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return softmax(query · keyᵀ · scale + mask) · value for [B, H, T, K] tensors, as torch's function of this name.

    It is written out in blocks of queries where that pays, and torch's elsewhere. A query that may read nothing gets 0.
    Vaswani et al., 2017, equation 1.
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    odd = is_causal and (attn_mask is not None or query.size(-2) != key.size(-2))
    if odd or not _pays(query, dtype, key.size(-2), is_causal, dropout_p):
        return FUSED(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
    if enable_gqa:
        key, value = (part.repeat_interleave(query.size(-3) // part.size(-3), -3) for part in (key, value))
    batch, length = query.shape[:-2], query.size(-2)
    q_NTK, k_NSK, v_NSK = (part.to(dtype).reshape(-1, *part.shape[-2:]) for part in (query, key, value))
    factor = 1 / math.sqrt(query.size(-1)) if scale is None else scale
    added = None if attn_mask is None else _added(attn_mask, dtype)
    blocks = list[Tensor]()
    for start in range(0, length, ROWS):
        end = min(start + ROWS, length)
        last = end if is_causal else key.size(-2)
        ahead = _ahead(start, end, dtype) if is_causal else torch.zeros((), dtype=dtype)
        scores = torch.baddbmm(ahead, q_NTK[:, start:end], k_NSK[:, :last].transpose(1, 2), alpha=factor)
        if added is not None:
            scores = (scores.view(*batch, end - start, last) + _rows(added, start, end)).view(scores.shape)
        shares = F.softmax(scores, -1)
        blocks.append(torch.bmm(F.dropout(shares, dropout_p) if dropout_p else shares, v_NSK[:, :last]))
    y = (blocks[0] if len(blocks) == 1 else torch.cat(blocks, 1)).view(*batch, length, value.size(-1))
    return y if attn_mask is None else y.masked_fill(_blind(attn_mask), 0)


def _pays(query: Tensor, dtype: torch.dtype, keys: int, causal: bool, dropout: float) -> bool:
    if query.device.type != "cpu" or dtype not in (torch.float32, torch.bfloat16):
        return False
    short = keys <= LONG or dropout > 0
    return short or causal if dtype == torch.bfloat16 else short and torch.get_float32_matmul_precision() != "highest"


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what a mask (true where a key is read, or scores to add) adds to the scores."""
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, LOWEST)
    return mask.to(dtype).clamp(min=LOWEST)


def _rows(added: Tensor, start: int, end: int) -> Tensor:
    return added if added.size(-2) == 1 else added[..., start:end, :]


def _blind(mask: Tensor) -> Tensor:
    """Return, for each query that the mask tells apart, whether it may read nothing."""
    return ~(mask if mask.dtype == torch.bool else mask > -math.inf).any(-1, keepdim=True)


def _ahead(start: int, end: int, dtype: torch.dtype) -> Tensor:
    """Return minus infinity where key `column` lies ahead of query `start + row`, else 0."""
    return _triangle(start, end, dtype) if torch.compiler.is_compiling() else _kept(start, end, dtype)


def _triangle(start: int, end: int, dtype: torch.dtype) -> Tensor:
    return torch.full((end - start, end), -math.inf, dtype=dtype).triu(1 + start)


_kept = lru_cache(maxsize=64)(_triangle)
