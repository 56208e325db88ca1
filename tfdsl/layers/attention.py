"""attention: every position reads from those it may see, in its own sequence or in another."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.cache import Cache
from tfdsl.layers.rotary import rotate
from tfdsl.layers.softmax import attend, merged, paired


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

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
        k_norm: nn.Module | None = None,
        v_norm: nn.Module | None = None,
        norm_late: bool = False,
        out_norm: nn.Module | None = None,
        flat: str = "",
        causal: bool = False,
        style: str = "half",
        rotated: int | None = None,
        end: bool = False,
        relative: nn.Module | None = None,
        temperature: nn.Module | None = None,
        tied: bool = False,
        residual: nn.Module | None = None,
        keeps: bool = False,
        softcap: float | None = None,
        sinks: str = "",
        before: nn.Module | None = None,
        after: nn.Module | None = None,
        padded: bool = False,
        differential: nn.Module | None = None,
        gate: nn.Module | None = None,
        gate_by: str = "sigmoid",
        gate_heads: bool = False,
        blocks: nn.Module | None = None,
        first: nn.Module | None = None,
        method: nn.Module | None = None,
        window: int | None = None,
        tokens: int | None = None,
        chunk: int | None = None,
    ) -> None:
        super().__init__()
        if kv_heads is None:
            self.heads = (heads, heads, heads)
        else:
            # A group of query heads shares each key and value head (Ainslie et al. 2023).
            self.heads = (heads, kv_heads, kv_heads)
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
        self.window = window
        self.tokens = tokens
        self.chunk = chunk
        self.bias = bias
        self.kv_heads = kv_heads
        self.value_dim = value_dim
        self.softcap = softcap
        self.sinks = sinks
        self.padded = padded
        self.gate_by = gate_by
        self.gate_heads = gate_heads
        # One projection for queries, keys and values.
        if tied:
            # Values are keys, as they are before norm and rotation.
            self.rows = [self.heads[0] * self.head_dim, self.heads[1] * self.head_dim]
            self.qkv = nn.Linear(width, sum(self.rows), bias=bias == "qkv")
        elif value_dim is None:
            self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim, bias=bias == "qkv")
        else:
            self.rows = [self.heads[0] * self.head_dim, self.heads[1] * self.head_dim, self.heads[2] * value_dim]
            self.qkv = nn.Linear(width, sum(self.rows), bias=bias == "qkv")
        if "q" in bias and bias != "qkv":
            self.q_bias = nn.Parameter(torch.zeros(self.heads[0] * self.head_dim))
        if "k" in bias and bias != "qkv":
            self.k_bias = nn.Parameter(torch.zeros(self.heads[1] * self.head_dim))
        if "v" in bias and bias != "qkv" and value_dim is None:
            self.v_bias = nn.Parameter(torch.zeros(self.heads[2] * self.head_dim))
        elif "v" in bias and bias != "qkv":
            self.v_bias = nn.Parameter(torch.zeros(self.rows[2]))
        self.tied = tied
        self.keeps = keeps
        self.q_norm = q_norm
        self.k_norm = k_norm
        self.v_norm = v_norm
        self.residual = residual
        self.relative = relative
        self.blocks = blocks
        self.first = first
        self.method = method
        self.temperature = temperature
        if sinks == "learned":
            self.sink = nn.Parameter(torch.zeros(heads))
        self.before = before
        self.after = after
        self.differential = differential
        self.out_norm = out_norm
        self.gate = gate
        if value_dim is not None:
            self.out = nn.Linear(heads * value_dim, width, bias=out_bias)
        else:
            self.out = nn.Linear(heads * self.head_dim, width, bias=out_bias)

    def forward(  # noqa: C901 (a model has the branches that it takes)
        self,
        x_BTD: Tensor,
        rope: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        earlier: tuple[Tensor, Tensor] | None = None,
        cache: Cache | None = None,
        rank: Tensor | None = None,
        place_BT: Tensor | None = None,
    ) -> Any:
        B, T = x_BTD.shape[:2]
        if self.value_dim is None and not self.tied and self.bias in ("", "qkv"):
            qkv_BTHK = self.qkv(x_BTD).view(B, T, -1, self.head_dim)
            parts = qkv_BTHK.split(self.heads, dim=2)
        else:
            parts = self.parts(x_BTD)
        if self.q_norm is not None or self.v_norm is not None or self.clip is not None:
            parts = self.normed(*parts)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        if rope is not None:
            q_BHTK = rotate(q_BHTK, rope, self.style, self.rotated, self.end)
            k_BHTK = rotate(k_BHTK, rope, self.style, self.rotated, self.end)
        if self.q_norm is not None and self.k_norm is not None and self.norm_late:
            q_BHTK, k_BHTK = self.q_norm(q_BHTK), self.k_norm(k_BHTK)
        if self.temperature is not None:
            q_BHTK = self.temperature(q_BHTK, 0 if cache is None else cache.position, place_BT=place_BT)
        v_BHTK = v_BHTK if self.residual is None else self.residual(v_BHTK, earlier)
        if self.method is not None:
            y_BHTK = self.method(q_BHTK, k_BHTK, v_BHTK, mask=mask, rank=rank, cache=cache, place_BT=place_BT)
        else:
            if cache is not None:
                if self.window is not None and self.tokens is not None:
                    k_BHTK = cache.first_and_recent(k_BHTK, 2, self.tokens, self.window)
                    v_BHTK = cache.first_and_recent(v_BHTK, 2, self.tokens, self.window)
                elif self.window is not None:
                    k_BHTK = cache.recent(k_BHTK, 2, self.window)
                    v_BHTK = cache.recent(v_BHTK, 2, self.window)
                elif self.chunk is not None:
                    k_BHTK = cache.same_chunk(k_BHTK, 2, self.chunk)
                    v_BHTK = cache.same_chunk(v_BHTK, 2, self.chunk)
                else:
                    k_BHTK, v_BHTK = cache.extend(k_BHTK, 2), cache.extend(v_BHTK, 2)
            kept = (k_BHTK, v_BHTK)
            causal = self.causal and mask is None
            if self.relative is not None:
                table = self.relative(q_BHTK, k_BHTK, mask)
            else:
                table = cache.lower_right(x_BTD) if causal and cache is not None else mask
            if self.differential is not None:
                q_BHTK, k_BHTK, v_BHTK = paired(q_BHTK, k_BHTK, v_BHTK)
            scale = self.head_dim**-0.5 if self.scale is None else self.scale
            if self.blocks is not None and mask is not None and mask.size(-2) < T:
                # The mask of a long sequence tells padding alone; what else is hidden, the blocks leave out.
                y_BHTK = self.blocks(q_BHTK, k_BHTK, v_BHTK, mask)
            elif self.softcap is None and self.sinks == "" and self.before is None and self.after is None:
                y_BHTK = F.scaled_dot_product_attention(
                    q_BHTK,
                    k_BHTK,
                    v_BHTK,
                    attn_mask=table,
                    dropout_p=self.dropout if self.training else 0.0,
                    is_causal=causal and (cache is None or (table is None and T > 1)),
                    scale=self.scale if self.differential is None else scale,
                    enable_gqa=self.kv_heads is not None,
                )
            else:
                y_BHTK = attend(
                    q_BHTK,
                    k_BHTK,
                    v_BHTK,
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
        if self.first is not None:
            first_BHGK = self.first(x_BTD, mask)
            y_BHTK = torch.cat((first_BHGK, y_BHTK[:, :, first_BHGK.size(2) :]), dim=2)
        if self.differential is None and self.out_norm is None and self.gate is None:
            y_BTA = y_BHTK.transpose(1, 2).reshape(B, T, -1)
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
        return (self.out(y_BTA), kept) if self.keeps else self.out(y_BTA)  # pyright: ignore[reportPossiblyUnboundVariable]

    def parts(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values by heads, shifted."""
        if self.tied:
            q_BTA, k_BTA = self.qkv(x_BTD).split(self.rows, dim=2)
            v_BTA = k_BTA
        elif self.value_dim is None:
            rows = [heads * self.head_dim for heads in self.heads]
            q_BTA, k_BTA, v_BTA = self.qkv(x_BTD).split(rows, dim=2)
        else:
            q_BTA, k_BTA, v_BTA = self.qkv(x_BTD).split(self.rows, dim=2)
        q_BTHK = q_BTA.unflatten(2, (self.heads[0], -1))
        k_BTHK = k_BTA.unflatten(2, (self.heads[1], -1))
        v_BTHK = v_BTA.unflatten(2, (self.heads[2], -1))
        if "q" in self.bias and self.bias != "qkv":
            q_BTHK = q_BTHK + self.q_bias.view(self.heads[0], -1)
        if "k" in self.bias and self.bias != "qkv":
            k_BTHK = k_BTHK + self.k_bias.view(self.heads[1], -1)
        if "v" in self.bias and self.bias != "qkv":
            v_BTHK = v_BTHK + self.v_bias.view(self.heads[2], -1)
        return q_BTHK, k_BTHK, v_BTHK

    def normed(self, q_BTHK: Tensor, k_BTHK: Tensor, v_BTHK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each brought to its range or its size."""
        if self.clip is not None:
            v_BTHK = v_BTHK.clamp(-self.clip, self.clip)
        if self.clip is not None and not self.clip_late:
            q_BTHK = q_BTHK.clamp(-self.clip, self.clip)
            k_BTHK = k_BTHK.clamp(-self.clip, self.clip)
        if self.q_norm is not None and self.k_norm is not None and "q" in self.flat:
            # Over the features of all heads.
            q_BTHK = self.q_norm(q_BTHK.flatten(2)).view_as(q_BTHK)
            k_BTHK = self.k_norm(k_BTHK.flatten(2)).view_as(k_BTHK)
        elif self.q_norm is not None and self.k_norm is not None and not self.norm_late:
            q_BTHK, k_BTHK = self.q_norm(q_BTHK), self.k_norm(k_BTHK)
        if self.clip is not None and self.clip_late:
            q_BTHK = q_BTHK.clamp(-self.clip, self.clip)
            k_BTHK = k_BTHK.clamp(-self.clip, self.clip)
        if self.v_norm is not None and "v" in self.flat:
            v_BTHK = self.v_norm(v_BTHK.flatten(2)).view_as(v_BTHK)
        elif self.v_norm is not None:
            v_BTHK = self.v_norm(v_BTHK)
        return q_BTHK, k_BTHK, v_BTHK
