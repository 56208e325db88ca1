"""A small GPT, written by hand to the contract that compiled models obey: what the trainer's tests train."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Cache:
    """Keys and values seen so far, a pair a layer; `counted` holds how many positions each call brought."""

    length: int
    position: int = 0
    entries: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)


class Layer(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float, place: int) -> None:
        super().__init__()
        self.heads, self.place = heads, place
        self.norm1, self.norm2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, cache: Cache | None) -> Tensor:
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm1(x_BTD)).chunk(3, dim=2)
        )
        if cache is not None and self.place < len(cache.entries):
            k, v = (torch.cat(pair, dim=2) for pair in zip(cache.entries[self.place], (k, v), strict=True))
        if cache is not None:
            cache.entries[self.place : self.place + 1] = [(k, v)]
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
        attended = F.scaled_dot_product_attention(
            q, k, v, attn_mask=None if cache is None else mask, is_causal=cache is None
        )
        x_BTD = x_BTD + self.drop(self.out(attended.transpose(1, 2).flatten(2)))
        return x_BTD + self.drop(self.down(F.gelu(self.up(self.norm2(x_BTD)))))


class GPT(nn.Module):
    """A GPT with a learned position table and a tied head."""

    def __init__(
        self, vocab: int, context: int = 16, width: int = 16, layers: int = 1, heads: int = 2, dropout: float = 0.0
    ):
        super().__init__()
        self.tok, self.pos = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.layers = nn.ModuleList(Layer(width, heads, dropout, place) for place in range(layers))
        self.norm, self.head = nn.LayerNorm(width, bias=False), nn.Linear(width, vocab, bias=False)
        self.drop = nn.Dropout(dropout)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(
                    weight, std=0.02 / ((2 * layers) ** 0.5 if name.endswith(("out.weight", "down.weight")) else 1)
                )
        self.head.weight = self.tok.weight

    def new_cache(self, length: int) -> Cache:
        """Return an empty cache for `length` positions."""
        return Cache(length)

    def forward(self, tokens_BT: Tensor, cache: Cache | None = None) -> Tensor:
        start = 0 if cache is None else cache.position
        places = torch.arange(start, start + tokens_BT.shape[1])
        x_BTD = self.drop(self.tok(tokens_BT) + self.pos(places))
        for layer in self.layers:
            x_BTD = layer(x_BTD, cache)
        if cache is not None:
            cache.position += tokens_BT.shape[1]
            cache.counted.append(tokens_BT.shape[1])
            assert cache.position <= cache.length
        return self.head(self.norm(x_BTD))
