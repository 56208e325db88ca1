"""cross: attention whose keys and values come from another sequence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tfdsl.layers.cache import Cache, once
from tfdsl.layers.entering import Asking
from tfdsl.layers.weighing import Leaving, Weighing


class CrossAttention(nn.Module):
    """Attention with keys and values from another sequence: x_BTD, memory_BSM -> x_BTD.

    Source: Vaswani et al. 2017, section 3.2.3.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        ask: Asking,
        weigh: Weighing,
        leave: Leaving,
        memory_width: int | None = None,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        value_dim: int | None = None,
        bias: str = "",
        clip: float | None = None,
        clip_late: bool = False,
        k_norm: nn.Module | None = None,
        v_norm: nn.Module | None = None,
        flat: str = "",
        keeps: bool = False,
    ) -> None:
        super().__init__()
        self.head_dim = width // heads if head_dim is None else head_dim
        self.clip = clip
        self.clip_late = clip_late
        self.flat = flat
        self.bias = bias
        self.keeps = keeps
        self.ask = ask
        # One projection for keys and values.
        groups = heads if kv_heads is None else kv_heads
        if value_dim is None:
            self.rows = (groups * self.head_dim, groups * self.head_dim)
        else:
            self.rows = (groups * self.head_dim, groups * value_dim)
        source = width if memory_width is None else memory_width
        self.kv = nn.Linear(source, sum(self.rows), bias="k" in bias and "v" in bias)
        if "k" in bias and "v" not in bias:
            self.k_bias = nn.Parameter(torch.zeros(self.rows[0]))
        if "v" in bias and "k" not in bias:
            self.v_bias = nn.Parameter(torch.zeros(self.rows[1]))
        self.k_norm = k_norm
        self.v_norm = v_norm
        self.weigh = weigh
        self.leave = leave

    def forward(self, x_BTD: Tensor, memory_BSM: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Any:
        q_BHTK = self.ask(x_BTD)
        k_BHSK, v_BHSK = once(cache, self.read, memory_BSM)
        kept = (k_BHSK, v_BHSK)
        y_BHTK = self.weigh(q_BHTK, k_BHSK, v_BHSK, mask, None, x_BTD, x_BTD.size(1))
        y_BTD = self.leave(y_BHTK, x_BTD)
        return (y_BTD, kept) if self.keeps else y_BTD

    def read(self, memory_BSM: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values of every position."""
        k_BSA, v_BSA = self.kv(memory_BSM).split(self.rows, dim=2)
        if "k" in self.bias and "v" not in self.bias:
            k_BSA = k_BSA + self.k_bias
        if "v" in self.bias and "k" not in self.bias:
            v_BSA = v_BSA + self.v_bias
        if self.clip is not None:
            v_BSA = v_BSA.clamp(-self.clip, self.clip)
        if self.clip is not None and not self.clip_late:
            k_BSA = k_BSA.clamp(-self.clip, self.clip)
        if self.k_norm is not None and "q" in self.flat:
            k_BSA = self.k_norm(k_BSA)
        if self.v_norm is not None and "v" in self.flat:
            v_BSA = self.v_norm(v_BSA)
        k_BSHK = k_BSA.unflatten(2, (-1, self.head_dim))
        v_BSHK = v_BSA.unflatten(2, (k_BSHK.size(2), -1))
        if self.k_norm is not None and "q" not in self.flat:
            k_BSHK = self.k_norm(k_BSHK)
        if self.v_norm is not None and "v" not in self.flat:
            v_BSHK = self.v_norm(v_BSHK)
        if self.clip is not None and self.clip_late:
            k_BSHK = k_BSHK.clamp(-self.clip, self.clip)
        return k_BSHK.transpose(1, 2), v_BSHK.transpose(1, 2)
