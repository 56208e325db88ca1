"""t5: T5 v1.0 small (arXiv:1910.10683), 60,506,624 parameters.

The capitals behind a name are its axes: B batch; S length of source; T length of
target; D d_model = 512; V vocab_size = 32128; H heads; K features of a head; F hidden
features.

Written by tfdsl 0.1.0 from t5.yaml.
The file belongs to whoever compiled it.
"""

import math

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


def rms_norm(x, weight, eps):
    """Divide by the root mean square of the last axis, and scale."""
    x = x.type_as(weight)
    plain = (
        x.is_cpu
        and x.dtype in (torch.float32, torch.float64)
        and not torch.compiler.is_compiling()
    )
    if plain and (torch.is_grad_enabled() or x.numel() > 8192):
        return RootMeanSquare.apply(x, weight, eps)
    return F.rms_norm(x, weight.shape, weight, eps)


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width, heads, dropout, scale):
        super().__init__()
        self.heads = (heads, heads, heads)
        self.head_dim = width // heads
        # One projection for queries, keys and values.
        self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim, bias=False)
        self.dropout = dropout
        self.scale = scale
        self.out = nn.Linear(heads * self.head_dim, width, bias=False)

    def forward(self, x_BTD, mask, cache=None):
        B, T = x_BTD.shape[:2]
        qkv_BTHK = self.qkv(x_BTD).view(B, T, -1, self.head_dim)
        parts = qkv_BTHK.split(self.heads, dim=2)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        if cache is not None:
            k_BHTK, v_BHTK = cache.extend(k_BHTK, 2), cache.extend(v_BHTK, 2)
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
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

    def __init__(self, width, heads, dropout, scale):
        super().__init__()
        self.head_dim = width // heads
        self.q = nn.Linear(width, heads * self.head_dim, bias=False)
        # One projection for keys and values.
        self.rows = (heads * self.head_dim, heads * self.head_dim)
        self.kv = nn.Linear(width, sum(self.rows), bias=False)
        self.dropout = dropout
        self.scale = scale
        self.out = nn.Linear(heads * self.head_dim, width, bias=False)

    def forward(self, x_BTD, memory_BSM, mask, cache=None):
        q_BTA = self.q(x_BTD)
        q_BTHK = q_BTA.unflatten(2, (-1, self.head_dim))
        q_BHTK = q_BTHK.transpose(1, 2)
        k_BHSK, v_BHSK = once(cache, self.read, memory_BSM)
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK,
            k_BHSK,
            v_BHSK,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
        )
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

    def __init__(self, width, hidden, dropout):
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=False)
        self.dropout = dropout
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x_BTD):
        h_BTF = self.up(x_BTD)
        h_BTF = F.relu(h_BTF)
        h_BTF = F.dropout(h_BTF, self.dropout, self.training)
        return self.down(h_BTF)


class RootMeanSquare(torch.autograd.Function):
    """x / sqrt(mean(x²) + eps) · weight, in half the time of torch's own on a CPU.

    It goes over memory fewer times, and keeps only its input.
    """

    @staticmethod
    def forward(ctx, x, weight, eps):
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = torch.rsqrt(size.square() / x.size(-1) + eps)
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, weight, scale = ctx.saved_tensors
        product = grad * x
        along = (product @ weight).unsqueeze(-1) * scale.pow(3) / x.size(-1)
        grad_x = (grad * weight).mul_(scale).addcmul_(x, along, value=-1)
        return grad_x, scale.flatten() @ product.flatten(0, -2), None


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps), scaled: x_BTD -> x_BTD (Zhang and Sennrich 2019)."""

    def __init__(self, width, eps):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_BTD):
        return rms_norm(x_BTD, self.weight, self.eps)


class T5Bias(nn.Module):
    """A learned score for each head and bucket of distance: x_BTD -> bias_1HTS.

    Half of the buckets hold one distance each; the others widen up to `max_distance`.
    Source: Raffel et al. 2020, section 2.1.
    """

    def __init__(self, heads, buckets, max_distance, causal):
        super().__init__()
        self.buckets = buckets
        self.max_distance = max_distance
        self.causal = causal
        self.weight = nn.Parameter(torch.zeros(buckets, heads))

    def forward(self, x_BTD, start=0, mask=None):
        key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
        bucket_TS = self.bucket(key_S - key_S[start:].unsqueeze(1))
        bias_1HTS = F.embedding(bucket_TS, self.weight).permute(2, 0, 1).unsqueeze(0)
        # Where the mask is false nothing may be read.
        return bias_1HTS.masked_fill(~mask, -math.inf)

    def bucket(self, distance_TS):
        """Return the bucket of each distance (key minus query)."""
        if self.causal:
            buckets = self.buckets
            first_TS = torch.zeros_like(distance_TS)
            distance_TS = -distance_TS.clamp(max=0)
        else:
            buckets = self.buckets // 2
            first_TS = torch.where(distance_TS > 0, buckets, 0)
            distance_TS = distance_TS.abs()
        exact = buckets // 2
        growth_TS = torch.log(distance_TS.clamp(min=1) / exact)
        growth_TS = growth_TS / math.log(self.max_distance / exact) * (buckets - exact)
        far_TS = (exact + growth_TS.long()).clamp(max=buckets - 1)
        return first_TS + torch.where(distance_TS < exact, distance_TS, far_TS)


class EncoderLayer(nn.Module):
    """Block `encoder_layer`."""

    def __init__(self):
        super().__init__()
        self.norm_1 = RMSNorm(512, eps=1e-06)
        self.attention = Attention(512, 8, dropout=0.1, scale=1)
        self.dropout_1 = nn.Dropout(0.1)
        self.norm_2 = RMSNorm(512, eps=1e-06)
        self.ffn = FeedForward(512, 2048, dropout=0.1)
        self.dropout_2 = nn.Dropout(0.1)

    def forward(self, x_BSD, encoder_bias):
        # t5.yaml:17
        y_BSD = self.norm_1(x_BSD)
        y_BSD = self.attention(y_BSD, mask=encoder_bias)
        x_BSD = x_BSD + self.dropout_1(y_BSD)
        # t5.yaml:18
        y_BSD = self.norm_2(x_BSD)
        y_BSD = self.ffn(y_BSD)
        x_BSD = x_BSD + self.dropout_2(y_BSD)
        return x_BSD


class DecoderLayer(nn.Module):
    """Block `decoder_layer`."""

    def __init__(self):
        super().__init__()
        self.norm_1 = RMSNorm(512, eps=1e-06)
        self.attention_1 = Attention(512, 8, dropout=0.1, scale=1)
        self.dropout_1 = nn.Dropout(0.1)
        self.norm_2 = RMSNorm(512, eps=1e-06)
        self.attention_2 = CrossAttention(512, 8, dropout=0.1, scale=1)
        self.dropout_2 = nn.Dropout(0.1)
        self.norm_3 = RMSNorm(512, eps=1e-06)
        self.ffn = FeedForward(512, 2048, dropout=0.1)
        self.dropout_3 = nn.Dropout(0.1)

    def forward(self, x_BTD, encoder_BSD, decoder_bias, padding_mask, cache=None):
        # t5.yaml:20
        y_BTD = self.norm_1(x_BTD)
        y_BTD = self.attention_1(y_BTD, mask=decoder_bias, cache=cache)
        x_BTD = x_BTD + self.dropout_1(y_BTD)
        # t5.yaml:21
        y_BTD = self.norm_2(x_BTD)
        y_BTD = self.attention_2(y_BTD, encoder_BSD, mask=padding_mask, cache=cache)
        x_BTD = x_BTD + self.dropout_2(y_BTD)
        # t5.yaml:22
        y_BTD = self.norm_3(x_BTD)
        y_BTD = self.ffn(y_BTD)
        x_BTD = x_BTD + self.dropout_3(y_BTD)
        return x_BTD


class Encoder(nn.Module):
    """Stream `encoder`."""

    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(32128, 512)
        self.dropout_1 = nn.Dropout(0.1)
        self.encoder_bias = T5Bias(8, buckets=32, max_distance=128, causal=False)
        self.encoder_layers = nn.ModuleList(EncoderLayer() for _ in range(6))
        self.norm = RMSNorm(512, eps=1e-06)
        self.dropout_2 = nn.Dropout(0.1)

    def forward(self, source_BS, source_keep_BS):
        # t5.yaml:25
        x_BSD = self.tok(source_BS)
        # t5.yaml:26
        x_BSD = self.dropout_1(x_BSD)
        padding_mask = source_keep_BS[:, None, None, :]
        encoder_bias = self.encoder_bias(x_BSD, mask=padding_mask)
        # t5.yaml:27
        for layer in self.encoder_layers:
            x_BSD = layer(x_BSD, encoder_bias)
        # t5.yaml:28
        x_BSD = self.norm(x_BSD)
        # t5.yaml:29
        x_BSD = self.dropout_2(x_BSD)
        return x_BSD


class Decoder(nn.Module):
    """Stream `decoder`."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(32128, 512)
        self.dropout_1 = nn.Dropout(0.1)
        self.decoder_bias = T5Bias(8, buckets=32, max_distance=128, causal=True)
        self.decoder_layers = nn.ModuleList(DecoderLayer() for _ in range(6))
        self.norm = RMSNorm(512, eps=1e-06)
        self.dropout_2 = nn.Dropout(0.1)
        self.logits = nn.Linear(512, 32128, bias=False)

    def forward(
        self, target_BT, encoder_BSD, target_keep_BT, source_keep_BS, cache=None
    ):
        # t5.yaml:31
        x_BTD = self.embed(target_BT)
        # t5.yaml:32
        x_BTD = self.dropout_1(x_BTD)
        start = 0 if cache is None else cache.position
        target_seen_BT = (
            target_keep_BT if cache is None else cache.extend(target_keep_BT, 1)
        )
        causal_mask = causal_table(x_BTD, start) & target_seen_BT[:, None, None, :]
        decoder_bias = self.decoder_bias(x_BTD, start, mask=causal_mask)
        padding_mask = source_keep_BS[:, None, None, :]
        # t5.yaml:33
        for layer in self.decoder_layers:
            x_BTD = layer(x_BTD, encoder_BSD, decoder_bias, padding_mask, cache=cache)
        # t5.yaml:34
        x_BTD = self.norm(x_BTD)
        # t5.yaml:35
        x_BTD = self.dropout_2(x_BTD)
        # t5.yaml:36
        x_BTD = 0.04419417382415922 * x_BTD
        # t5.yaml:37
        logits_BTV = self.logits(x_BTD)
        return logits_BTV


class Model(nn.Module):
    """source [B, S], target [B, T] -> logits [B, T, 32128]."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.decoder.embed.weight = self.encoder.tok.weight
        self.decoder.logits.weight = self.encoder.tok.weight
        self.reset()

    def reset(self):
        """Start the weights: matrices normal, norms at one."""
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)
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
