"""reuse: attention that reads keys and values which other attention made."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.rotary import rotate
from tfdsl.layers.softmax import attend, merged, paired


class ReusingAttention(nn.Module):
    """Attention with queries of its own, and keys and values that were made before: x_BTD -> x_BTD.

    Source: Brandon et al. 2024, "Cross-layer attention"; Sun et al. 2024, YOCO.
    """

    def __init__(
        self,
        width: int,
        heads: int,
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
        norm_late: bool = False,
        out_norm: nn.Module | None = None,
        flat: str = "",
        causal: bool = False,
        style: str = "half",
        rotated: int | None = None,
        end: bool = False,
        relative: nn.Module | None = None,
        temperature: nn.Module | None = None,
        softcap: float | None = None,
        sinks: str = "",
        before: nn.Module | None = None,
        after: nn.Module | None = None,
        padded: bool = False,
        differential: nn.Module | None = None,
        gate: nn.Module | None = None,
        gate_by: str = "sigmoid",
        gate_heads: bool = False,
    ) -> None:
        super().__init__()
        self.kv_heads = kv_heads
        self.head_dim = width // heads if head_dim is None else head_dim
        self.dropout = dropout
        self.scale = scale
        self.clip = clip
        self.clip_late = clip_late
        self.norm_late = norm_late
        self.flat = flat
        self.causal = causal
        self.style = style
        self.rotated = rotated
        self.end = end
        self.softcap = softcap
        self.sinks = sinks
        self.padded = padded
        self.gate_by = gate_by
        self.gate_heads = gate_heads
        self.q = nn.Linear(width, heads * self.head_dim, bias="q" in bias)
        self.q_norm = q_norm
        self.relative = relative
        self.temperature = temperature
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

    def forward(
        self,
        x_BTD: Tensor,
        kept: tuple[Tensor, Tensor],
        rope: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        place_BT: Tensor | None = None,
    ) -> Tensor:
        q_BTHK = self.queried(x_BTD)
        q_BHTK = q_BTHK.transpose(1, 2)
        k_BHSK, v_BHSK = kept
        if rope is not None:
            q_BHTK = rotate(q_BHTK, rope, self.style, self.rotated, self.end)
        if self.q_norm is not None and self.norm_late:
            q_BHTK = self.q_norm(q_BHTK)
        if self.temperature is not None:
            q_BHTK = self.temperature(q_BHTK, k_BHSK.size(2) - q_BHTK.size(2), place_BT=place_BT)
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
                is_causal=causal and (cache is None or (table is None and x_BTD.size(1) > 1)),
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
        return self.out(y_BTA)

    def queried(self, x_BTD: Tensor) -> Tensor:
        """Return the queries of every position."""
        q_BTA = self.q(x_BTD)
        if self.clip is not None and not self.clip_late:
            q_BTA = q_BTA.clamp(-self.clip, self.clip)
        if self.q_norm is not None and "q" in self.flat:
            q_BTA = self.q_norm(q_BTA)
        q_BTHK = q_BTA.unflatten(2, (-1, self.head_dim))
        if self.q_norm is not None and "q" not in self.flat and not self.norm_late:
            q_BTHK = self.q_norm(q_BTHK)
        if self.clip is not None and self.clip_late:
            q_BTHK = q_BTHK.clamp(-self.clip, self.clip)
        return q_BTHK


class ValueResidual(nn.Module):
    """Values added to those that other attention kept: own · v + kept · v', at the places of v.

    Source: Zhou et al. 2024, "Value residual learning".
    """

    def __init__(self, own: float, kept: float, learned: bool = False) -> None:
        super().__init__()
        if learned:
            self.own = nn.Parameter(torch.full((1,), own))
            self.kept = nn.Parameter(torch.full((1,), kept))
        else:
            self.own = own
            self.kept = kept

    def forward(self, v_BHTK: Tensor, first: tuple[Tensor, Tensor]) -> Tensor:
        return self.own * v_BHTK + self.kept * first[1][:, :, -v_BHTK.size(2) :]
