"""weighing: what queries read of keys and values, and what leaves attention of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.activations import ACTIVATIONS
from tfdsl.layers.cache import Cache
from tfdsl.layers.part import Part
from tfdsl.layers.softmax import attend, paired


class Weighing(Part):
    """softmax(q · k · scale + mask) · v, by torch's own attention where that does what is asked.

    Where no mask says more, `causal` hides what comes after a query: the T queries are the last of the keys' positions.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        dropout: float = 0.0,
        scale: float | None = None,
        softcap: float | None = None,
        sinks: str = "",
        before: nn.Module | None = None,
        after: nn.Module | None = None,
        padded: bool = False,
        differential: nn.Module | None = None,
        causal: bool = False,
        relative: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.relative = relative
        self.head_dim = width // heads if head_dim is None else head_dim
        self.kv_heads = kv_heads
        self.dropout = dropout
        self.scale = scale
        self.softcap = softcap
        self.sinks = sinks
        self.padded = padded
        if sinks == "learned":
            self.sink = nn.Parameter(torch.zeros(heads))
        self.before = before
        self.after = after
        self.differential = differential

    def forward(
        self,
        q_BHTK: Tensor,
        k_BHSK: Tensor,
        v_BHSK: Tensor,
        mask: Tensor | None,
        cache: Cache | None,
        x_BTD: Tensor,
        T: int,
    ) -> Tensor:
        causal = self.causal and mask is None
        if self.relative is not None:
            table = self.relative(q_BHTK, k_BHSK, mask)
        else:
            table = cache.lower_right(x_BTD) if causal and cache is not None else mask
        if self.differential is not None:
            q_BHTK, k_BHSK, v_BHSK = paired(q_BHTK, k_BHSK, v_BHSK)
        scale = self.head_dim**-0.5 if self.scale is None else self.scale
        if self.softcap is None and self.sinks == "" and self.before is None and self.after is None:
            y_BHTK = F.scaled_dot_product_attention(
                q_BHTK,
                k_BHSK,
                v_BHSK,
                attn_mask=table,
                dropout_p=self.dropout if self.training else 0.0,
                is_causal=causal and (cache is None or (table is None and T > 1)),
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
                mask=table,
            )
        return y_BHTK


class Leaving(Part):
    """What the heads read as features again: subtracted, normed, gated by what the layer took, and mixed by a matrix.

    `flat` has an `o` where the norm is over the features of all heads; a gate is one a feature or, by `gate_heads`, one
    a head.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        head_dim: int | None = None,
        value_dim: int | None = None,
        out_bias: bool = False,
        differential: nn.Module | None = None,
        out_norm: nn.Module | None = None,
        flat: str = "",
        gate: nn.Module | None = None,
        gate_by: str = "sigmoid",
        gate_heads: bool = False,
    ) -> None:
        super().__init__()
        self.head_dim = width // heads if head_dim is None else head_dim
        self.flat = flat
        self.gate_by = gate_by
        self.gate_heads = gate_heads
        self.differential = differential
        self.out_norm = out_norm
        self.gate = gate
        if value_dim is None:
            self.out = nn.Linear(heads * self.head_dim, width, bias=out_bias)
        else:
            self.out = nn.Linear(heads * value_dim, width, bias=out_bias)

    def forward(self, y_BHTK: Tensor, x_BTD: Tensor) -> Tensor:
        if self.differential is not None:
            y_BHTK = self.differential(y_BHTK)
        if self.out_norm is not None and "o" not in self.flat:
            y_BTA = self.out_norm(y_BHTK.transpose(1, 2)).flatten(2)
        else:
            y_BTA = y_BHTK.transpose(1, 2).flatten(2)
        if self.out_norm is not None and "o" in self.flat:
            y_BTA = self.out_norm(y_BTA)
        if self.gate is not None and self.gate_heads:
            gate_BTH1 = ACTIVATIONS[self.gate_by](self.gate(x_BTD)).unsqueeze(-1)
            y_BTA = (y_BTA.unflatten(2, (gate_BTH1.size(2), -1)) * gate_BTH1).flatten(2)
        elif self.gate is not None:
            y_BTA = y_BTA * ACTIVATIONS[self.gate_by](self.gate(x_BTD))
        return self.out(y_BTA)
