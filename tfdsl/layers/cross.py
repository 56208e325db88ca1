"""cross: attention whose keys and values come from another sequence."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache, once
from tfdsl.layers.softmax import attend, merged, paired


class CrossAttention(nn.Module):
    """Attention with keys and values from another sequence: x_BTD, memory_BSM -> x_BTD.

    Source: Vaswani et al. 2017, section 3.2.3.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        memory_width: int | None = None,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        value_dim: int | None = None,
        bias: str = "",
        out_bias: bool = False,
        dropout: float = 0.0,
        scale: float | None = None,
        clip: float | None = None,
        clip_late: bool = False,
        q_norm: nn.Module | None = None,
        k_norm: nn.Module | None = None,
        v_norm: nn.Module | None = None,
        out_norm: nn.Module | None = None,
        flat: str = "",
        softcap: float | None = None,
        sinks: str = "",
        before: nn.Module | None = None,
        after: nn.Module | None = None,
        padded: bool = False,
        differential: nn.Module | None = None,
        keeps: bool = False,
        gate: nn.Module | None = None,
        gate_by: str = "sigmoid",
        gate_heads: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads
        self.head_dim = width // heads if head_dim is None else head_dim
        self.value_dim = value_dim
        self.dropout = dropout
        self.scale = scale
        self.clip = clip
        self.clip_late = clip_late
        self.flat = flat
        self.bias = bias
        self.softcap = softcap
        self.sinks = sinks
        self.padded = padded
        self.keeps = keeps
        self.gate_by = gate_by
        self.gate_heads = gate_heads
        self.q = nn.Linear(width, heads * self.head_dim, bias="q" in bias)
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
        self.q_norm = q_norm
        self.k_norm = k_norm
        self.v_norm = v_norm
        if sinks == "learned":
            self.sink = nn.Parameter(torch.zeros(heads))
        self.before = before
        self.after = after
        self.differential = differential
        self.out_norm = out_norm
        self.gate = gate
        if value_dim is None:
            self.out = nn.Linear(heads * self.head_dim, width, bias=out_bias)
        else:
            self.out = nn.Linear(heads * value_dim, width, bias=out_bias)

    def forward(self, x_BTD: Tensor, memory_BSM: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Any:
        q_BHTK = self.asked(x_BTD)
        k_BHSK, v_BHSK = once(cache, self.read, memory_BSM)
        kept = (k_BHSK, v_BHSK)
        if self.differential is not None:
            q_BHTK, k_BHSK, v_BHSK = paired(q_BHTK, k_BHSK, v_BHSK)
        scale = self.head_dim**-0.5 if self.scale is None else self.scale
        if self.softcap is None and self.sinks == "" and self.before is None and self.after is None:
            y_BHTK = F.scaled_dot_product_attention(
                q_BHTK,
                k_BHSK,
                v_BHSK,
                attn_mask=mask,
                dropout_p=self.dropout if self.training else 0.0,
                scale=self.scale if self.differential is None else scale,
                enable_gqa=self.kv_heads is not None,
            )
        else:
            y_BHTK = attend(
                q_BHTK,
                k_BHSK,
                v_BHSK,
                scale=scale,
                dropout=self.dropout if self.training else 0.0,
                softcap=self.softcap,
                sinks=self.sink if self.sinks == "learned" else None,
                zero=self.sinks == "zero",
                before=self.before,
                after=self.after,
                padded=self.padded,
                mask=mask,
            )
        if self.differential is None and self.out_norm is None and self.gate is None:
            y_BTA = y_BHTK.transpose(1, 2).flatten(2)
        else:
            y_BTA = merged(
                y_BHTK,
                x_BTD,
                self.differential,
                self.out_norm,
                flat="o" in self.flat,
                gate=self.gate,
                by=self.gate_by,
                heads=self.gate_heads,
            )
        return (self.out(y_BTA), kept) if self.keeps else self.out(y_BTA)

    def asked(self, x_BTD: Tensor) -> Tensor:
        """Return the queries of every position."""
        q_BTA = self.q(x_BTD)
        if self.clip is not None and not self.clip_late:
            q_BTA = q_BTA.clamp(-self.clip, self.clip)
        if self.q_norm is not None and "q" in self.flat:
            q_BTA = self.q_norm(q_BTA)
        q_BTHK = q_BTA.unflatten(2, (-1, self.head_dim))
        if self.q_norm is not None and "q" not in self.flat:
            q_BTHK = self.q_norm(q_BTHK)
        if self.clip is not None and self.clip_late:
            q_BTHK = q_BTHK.clamp(-self.clip, self.clip)
        return q_BTHK.transpose(1, 2)

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
