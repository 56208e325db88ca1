"""gpt2: GPT-2 small, 124,439,808 parameters.

The capitals behind a name are its axes: B batch; T length of tokens; D d_model = 768; V
vocab_size = 50257; S positions that are read; H heads; K features of a head; F hidden
features.

Written by tfdsl 0.1.0 from gpt2.yaml.
The file belongs to whoever compiled it.
"""

import torch
import torch.nn.functional as F
from torch import nn


def causal_table(x_BTD, start):
    """Return a (T, S) table, true where a key does not come after the query.

    The T queries stand behind `start` earlier positions: S = start + T.
    """
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    query_T1 = key_S[start:].unsqueeze(1)
    return key_S <= query_T1


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = (heads, heads, heads)
        self.head_dim = width // heads
        # One projection for queries, keys and values.
        self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim)
        self.dropout = dropout
        self.out = nn.Linear(heads * self.head_dim, width)

    def forward(self, x_BTD, cache=None):
        B, T = x_BTD.shape[:2]
        qkv_BTHK = self.qkv(x_BTD).view(B, T, -1, self.head_dim)
        parts = qkv_BTHK.split(self.heads, dim=2)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        if cache is not None:
            k_BHTK, v_BHTK = cache.extend(k_BHTK, 2), cache.extend(v_BHTK, 2)
        table = cache.lower_right(x_BTD) if cache is not None else None
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=table,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=cache is None or (table is None and T > 1),
        )
        y_BTA = y_BHTK.transpose(1, 2).flatten(2)
        return self.out(y_BTA)


class Cache:
    """What layers keep between forwards: each takes the next entry in turn.

    `position` counts the positions seen so far.
    """

    def __init__(self, length):
        self.length = length
        self.position = 0
        self.entries = []
        self.turn = 0
        self.ahead = 0

    def extend(self, x, axis):
        """Put `x` behind what earlier forwards gave, along `axis`; return all of it.

        There is room for `length` positions.
        """
        self.ahead = x.size(axis)
        end = self.position + self.ahead
        if end > self.length:
            raise ValueError(
                f"the cache has room for {self.length}, not {end} positions"
            )
        if self.turn == len(self.entries):
            shape = list(x.shape)
            shape[axis] = self.length
            self.entries.append(x.new_empty(shape))
        entry = self.entries[self.turn]
        self.turn += 1
        entry.narrow(axis, self.position, self.ahead).copy_(x)
        return entry.narrow(axis, 0, end)

    def lower_right(self, x_BTD):
        """Return the mask for several positions behind earlier ones; one sees all."""
        if self.position == 0 or x_BTD.size(1) == 1:
            return None
        return causal_table(x_BTD, self.position)

    def advance(self):
        """End a forward: its positions are behind us."""
        self.position += self.ahead
        self.turn = 0


class FeedForward(nn.Module):
    """Two projections with an activation between them: x_BTD -> x_BTD.

    Source: Vaswani et al. 2017, equation 2.
    """

    def __init__(self, width, hidden):
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x_BTD):
        h_BTF = self.up(x_BTD)
        h_BTF = F.gelu(h_BTF, approximate="tanh")
        return self.down(h_BTF)


class LearnedPosition(nn.Module):
    """Adds a learned row to each position: x_BTD -> x_BTD (Gehring et al. 2017)."""

    def __init__(self, length, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(self, x_BTD, start):
        end = start + x_BTD.size(1)
        if end > self.weight.size(0):
            raise ValueError(f"{self.weight.size(0)} positions are learned, not {end}")
        return x_BTD + self.weight[start:end]


class Layer(nn.Module):
    """Block `layer`."""

    def __init__(self):
        super().__init__()
        self.norm_1 = nn.LayerNorm(768, eps=1e-05)
        self.attention = Attention(768, 12, dropout=0.1)
        self.dropout_1 = nn.Dropout(0.1)
        self.norm_2 = nn.LayerNorm(768, eps=1e-05)
        self.ffn = FeedForward(768, 3072)
        self.dropout_2 = nn.Dropout(0.1)

    def forward(self, x_BTD, cache=None):
        # gpt2.yaml:15
        y_BTD = self.norm_1(x_BTD)
        y_BTD = self.attention(y_BTD, cache=cache)
        x_BTD = x_BTD + self.dropout_1(y_BTD)
        # gpt2.yaml:16
        y_BTD = self.norm_2(x_BTD)
        y_BTD = self.ffn(y_BTD)
        x_BTD = x_BTD + self.dropout_2(y_BTD)
        return x_BTD


class Model(nn.Module):
    """tokens [B, T] -> logits [B, T, 50257]."""

    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(50257, 768)
        self.position = LearnedPosition(1024, 768)
        self.dropout = nn.Dropout(0.1)
        self.layers = nn.ModuleList(Layer() for _ in range(12))
        self.norm = nn.LayerNorm(768, eps=1e-05)
        self.logits = nn.Linear(768, 50257, bias=False)
        self.logits.weight = self.tok.weight
        self.reset()

    def reset(self):
        """Start the weights: matrices normal, biases at zero, norms at one."""
        for name, weight in self.named_parameters():
            if name.endswith(("attention.out.weight", "ffn.down.weight")):
                nn.init.normal_(weight, std=0.02 * 0.20412414523193154)
            elif weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
            else:
                nn.init.ones_(weight)

    def new_cache(self, length):
        """Return an empty cache for `length` positions."""
        return Cache(length)

    def forward(self, tokens_BT, cache=None):
        # gpt2.yaml:18
        x_BTD = self.tok(tokens_BT)
        start = 0 if cache is None else cache.position
        # gpt2.yaml:19
        x_BTD = self.position(x_BTD, start)
        # gpt2.yaml:20
        x_BTD = self.dropout(x_BTD)
        # gpt2.yaml:21
        for layer in self.layers:
            x_BTD = layer(x_BTD, cache=cache)
        # gpt2.yaml:22
        x_BTD = self.norm(x_BTD)
        # gpt2.yaml:23
        logits_BTV = self.logits(x_BTD)
        if cache is not None:
            cache.advance()
        return logits_BTV
