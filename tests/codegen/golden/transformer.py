"""transformer: The original encoder-decoder, base size, one embedding shared three ways
(63,082,496 parameters at 37,000 words).

The capitals behind a name are its axes: B batch; S length of source; T length of
target; D d_model = 512; V vocab_size = 37000; H heads; K features of a head; F hidden
features; P pairs of features.

Written by tfdsl 0.1.0 from transformer.yaml.
The file belongs to whoever compiled it.
"""

import torch
import torch.nn.functional as F
from torch import nn


def once(cache, make, *inputs):
    """Return `make(*inputs)`; with a cache, what it gave at the first forward."""
    return make(*inputs) if cache is None else cache.once(make, *inputs)


def causal_table(x_BTD, start):
    """Return a (T, S) table, true where a key does not come after the query.

    The T queries stand behind `start` earlier positions: S = start + T.
    """
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    query_T1 = key_S[start:].unsqueeze(1)
    return key_S <= query_T1


def sinusoids(place_T, width, theta):
    """Return sines and cosines of each place: (..., T) -> (..., T, width)."""
    pair_P = torch.arange(0, width, 2, dtype=place_T.dtype, device=place_T.device)
    angle_TP = place_T.unsqueeze(-1) * theta ** (-pair_P / width)
    return torch.stack((angle_TP.sin(), angle_TP.cos()), dim=-1).flatten(-2)


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = (heads, heads, heads)
        self.head_dim = width // heads
        # One projection for queries, keys and values.
        self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim)
        self.out = nn.Linear(heads * self.head_dim, width)

    def forward(self, x_BTD, mask, cache=None):
        B, T = x_BTD.shape[:2]
        qkv_BTHK = self.qkv(x_BTD).view(B, T, -1, self.head_dim)
        parts = qkv_BTHK.split(self.heads, dim=2)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        if cache is not None:
            k_BHTK, v_BHTK = cache.extend(k_BHTK, 2), cache.extend(v_BHTK, 2)
        y_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, attn_mask=mask)
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

    def once(self, make, *inputs):
        """Return what `make` gave at the first forward."""
        if self.turn == len(self.entries):
            self.entries.append(make(*inputs))
        self.turn += 1
        return self.entries[self.turn - 1]

    def advance(self):
        """End a forward: its positions are behind us."""
        self.position += self.ahead
        self.turn = 0


class CrossAttention(nn.Module):
    """Attention with keys and values from another sequence: x_BTD, memory_BSM -> x_BTD.

    Source: Vaswani et al. 2017, section 3.2.3.
    """

    def __init__(self, width, heads):
        super().__init__()
        self.head_dim = width // heads
        self.q = nn.Linear(width, heads * self.head_dim)
        # One projection for keys and values.
        self.rows = (heads * self.head_dim, heads * self.head_dim)
        self.kv = nn.Linear(width, sum(self.rows))
        self.out = nn.Linear(heads * self.head_dim, width)

    def forward(self, x_BTD, memory_BSM, mask, cache=None):
        q_BTA = self.q(x_BTD)
        q_BTHK = q_BTA.unflatten(2, (-1, self.head_dim))
        q_BHTK = q_BTHK.transpose(1, 2)
        k_BHSK, v_BHSK = once(cache, self.read, memory_BSM)
        y_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, attn_mask=mask)
        y_BTA = y_BHTK.transpose(1, 2).flatten(2)
        return self.out(y_BTA)

    def read(self, memory_BSM):
        """Return the keys and values of every position."""
        k_BSA, v_BSA = self.kv(memory_BSM).split(self.rows, dim=2)
        k_BSHK = k_BSA.unflatten(2, (-1, self.head_dim))
        v_BSHK = v_BSA.unflatten(2, (k_BSHK.size(2), -1))
        return k_BSHK.transpose(1, 2), v_BSHK.transpose(1, 2)


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
        h_BTF = F.relu(h_BTF)
        return self.down(h_BTF)


class SinusoidalPosition(nn.Module):
    """Adds sines and cosines of each position to its features: x_BTD -> x_BTD.

    Source: Vaswani et al. 2017, section 3.5.
    """

    def __init__(self, width, theta):
        super().__init__()
        self.width = width
        self.theta = theta

    def forward(self, x_BTD, start=0):
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        place_T = torch.arange(
            start, start + x_BTD.size(1), dtype=exact, device=x_BTD.device
        )
        table_TD = sinusoids(place_T, self.width, self.theta)
        return x_BTD + table_TD.to(x_BTD.dtype)


class EncoderLayer(nn.Module):
    """Block `encoder_layer`."""

    def __init__(self):
        super().__init__()
        self.attention = Attention(512, 8)
        self.dropout_1 = nn.Dropout(0.1)
        self.norm_1 = nn.LayerNorm(512, eps=1e-05)
        self.ffn = FeedForward(512, 2048)
        self.dropout_2 = nn.Dropout(0.1)
        self.norm_2 = nn.LayerNorm(512, eps=1e-05)

    def forward(self, x_BSD, padding_mask):
        # transformer.yaml:17
        y_BSD = self.attention(x_BSD, mask=padding_mask)
        x_BSD = x_BSD + self.dropout_1(y_BSD)
        # transformer.yaml:18
        x_BSD = self.norm_1(x_BSD)
        # transformer.yaml:19
        y_BSD = self.ffn(x_BSD)
        x_BSD = x_BSD + self.dropout_2(y_BSD)
        # transformer.yaml:20
        x_BSD = self.norm_2(x_BSD)
        return x_BSD


class DecoderLayer(nn.Module):
    """Block `decoder_layer`."""

    def __init__(self):
        super().__init__()
        self.attention_1 = Attention(512, 8)
        self.dropout_1 = nn.Dropout(0.1)
        self.norm_1 = nn.LayerNorm(512, eps=1e-05)
        self.attention_2 = CrossAttention(512, 8)
        self.dropout_2 = nn.Dropout(0.1)
        self.norm_2 = nn.LayerNorm(512, eps=1e-05)
        self.ffn = FeedForward(512, 2048)
        self.dropout_3 = nn.Dropout(0.1)
        self.norm_3 = nn.LayerNorm(512, eps=1e-05)

    def forward(self, x_BTD, encoder_BSD, causal_mask, padding_mask, cache=None):
        # transformer.yaml:22
        y_BTD = self.attention_1(x_BTD, mask=causal_mask, cache=cache)
        x_BTD = x_BTD + self.dropout_1(y_BTD)
        # transformer.yaml:23
        x_BTD = self.norm_1(x_BTD)
        # transformer.yaml:24
        y_BTD = self.attention_2(x_BTD, encoder_BSD, mask=padding_mask, cache=cache)
        x_BTD = x_BTD + self.dropout_2(y_BTD)
        # transformer.yaml:25
        x_BTD = self.norm_2(x_BTD)
        # transformer.yaml:26
        y_BTD = self.ffn(x_BTD)
        x_BTD = x_BTD + self.dropout_3(y_BTD)
        # transformer.yaml:27
        x_BTD = self.norm_3(x_BTD)
        return x_BTD


class Encoder(nn.Module):
    """Stream `encoder`."""

    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(37000, 512)
        self.position = SinusoidalPosition(512, theta=10000.0)
        self.dropout = nn.Dropout(0.1)
        self.encoder_layers = nn.ModuleList(EncoderLayer() for _ in range(6))

    def forward(self, source_BS, source_keep_BS):
        # transformer.yaml:30
        x_BSD = 22.627416997969522 * self.tok(source_BS)
        # transformer.yaml:31
        x_BSD = self.position(x_BSD)
        # transformer.yaml:32
        x_BSD = self.dropout(x_BSD)
        padding_mask = source_keep_BS[:, None, None, :]
        # transformer.yaml:33
        for layer in self.encoder_layers:
            x_BSD = layer(x_BSD, padding_mask)
        return x_BSD


class Decoder(nn.Module):
    """Stream `decoder`."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(37000, 512)
        self.position = SinusoidalPosition(512, theta=10000.0)
        self.dropout = nn.Dropout(0.1)
        self.decoder_layers = nn.ModuleList(DecoderLayer() for _ in range(6))
        self.logits = nn.Linear(512, 37000, bias=False)

    def forward(
        self, target_BT, encoder_BSD, target_keep_BT, source_keep_BS, cache=None
    ):
        # transformer.yaml:35
        x_BTD = 22.627416997969522 * self.embed(target_BT)
        start = 0 if cache is None else cache.position
        # transformer.yaml:36
        x_BTD = self.position(x_BTD, start)
        # transformer.yaml:37
        x_BTD = self.dropout(x_BTD)
        target_seen_BT = (
            target_keep_BT if cache is None else cache.extend(target_keep_BT, 1)
        )
        causal_mask = causal_table(x_BTD, start) & target_seen_BT[:, None, None, :]
        padding_mask = source_keep_BS[:, None, None, :]
        # transformer.yaml:38
        for layer in self.decoder_layers:
            x_BTD = layer(x_BTD, encoder_BSD, causal_mask, padding_mask, cache=cache)
        # transformer.yaml:39
        logits_BTV = self.logits(x_BTD)
        return logits_BTV


class Model(nn.Module):
    """source [B, S], target [B, T] -> logits [B, T, 37000]."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.decoder.embed.weight = self.encoder.tok.weight
        self.decoder.logits.weight = self.encoder.tok.weight
        self.reset()

    def reset(self):
        """Start the weights: matrices normal, biases at zero, norms at one."""
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
            else:
                nn.init.ones_(weight)

    def new_cache(self, length):
        """Return an empty cache for `length` positions."""
        return Cache(length)

    def forward(self, source_BS, target_BT, cache=None):
        source_keep_BS = source_BS != 0
        encoder_BSD = once(cache, self.encoder, source_BS, source_keep_BS)
        target_keep_BT = target_BT != 0
        logits_BTV = self.decoder(
            target_BT, encoder_BSD, target_keep_BT, source_keep_BS, cache=cache
        )
        if cache is not None:
            cache.advance()
        return logits_BTV
