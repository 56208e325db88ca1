"""packed: A decoder whose rows hold several documents.

The capitals behind a name are its axes: B batch; T length of tokens, documents; D
d_model = 64; V vocab = 256; S positions that are read; H heads; K features of a head; F
hidden features; P pairs of features.

Written by tfdsl 0.1.0 from <text>.
The file belongs to whoever compiled it.
"""

import torch
import torch.nn.functional as F
from torch import nn


def newest(documents_BT, start=0):
    """Return where the document of each position begins, counted from `start`: (B, T).

    One begins where the number changes.
    """
    new_BT = F.pad(documents_BT[:, 1:] != documents_BT[:, :-1], (1, 0), value=True)
    place_T = torch.arange(
        start, start + documents_BT.size(1), device=documents_BT.device
    )
    return (place_T * new_BT).cummax(dim=1).values


def beginnings(documents_BT, x_BT, cache=None):
    """Return where the document of each position so far begins: (B, S); None where a row is one document."""
    if cache is not None:
        return cache.documents(documents_BT, x_BT)
    return None if documents_BT is None else newest(documents_BT)


def places(begin_BS, x_BT):
    """Return the place of each of the last positions in its document, from 0: (B, T)."""
    S, T = begin_BS.size(1), x_BT.size(1)
    return torch.arange(S - T, S, device=begin_BS.device) - begin_BS[:, S - T :]


def same_document(begin_BS, x_BTD):
    """Return a (B, 1, T, S) table, true where query and key are of one document; the queries are the last positions."""
    begin_BT = begin_BS[:, -x_BTD.size(1) :]
    return (begin_BT.unsqueeze(2) == begin_BS.unsqueeze(1)).unsqueeze(1)


def causal_table(x_BTD, start, begin_BS=None):
    """Return a (T, S) table, true where a key does not come after the query.

    The T queries stand behind `start` earlier positions: S = start + T.
    """
    if begin_BS is not None and x_BTD.size(1) == 1:
        # No key comes after the newest position.
        return same_document(begin_BS, x_BTD)
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    query_T1 = key_S[start:].unsqueeze(1)
    table_TS = key_S <= query_T1
    if begin_BS is not None:
        # The keys of its own document alone; a cache may hold the newest ones alone.
        return table_TS & same_document(begin_BS[:, -key_S.size(0) :], x_BTD)
    return table_TS


def chunk_table(x_BTD, start, size, held, begin_BS=None):
    """Return a (T, S) table, true where query and key stand in one chunk of `size` positions.

    Of earlier positions it spans the newest `held - 1`.
    """
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    query_T1 = key_S[start:].unsqueeze(1)
    key_S = key_S[max(start - held + 1, 0) :]
    if begin_BS is not None:
        # The chunks of each document begin with it.
        begin_BS = begin_BS[:, -key_S.size(0) :]
        table_TS = same_document(begin_BS + (key_S - begin_BS) // size * size, x_BTD)
    else:
        table_TS = key_S // size == query_T1 // size
    return table_TS & (key_S <= query_T1)


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


def rotate(x_BHTK, rope):
    """Turn each pair of features by the angles of `rope`: cosines and signed sines."""
    cos_TK, sin_TK = rope
    swapped_BHTK = x_BHTK.roll(x_BHTK.size(-1) // 2, dims=-1)
    return torch.addcmul(x_BHTK * cos_TK, swapped_BHTK, sin_TK).type_as(x_BHTK)


def turns(angle_TP):
    """Return the tables of cosines and signed sines of the angle of each pair: (T, P) -> twice (T, K), K = 2 P."""
    cos_TP, sin_TP = angle_TP.cos(), angle_TP.sin()
    cos_TK = torch.cat((cos_TP, cos_TP), dim=-1)
    sin_TK = torch.cat((-sin_TP, sin_TP), dim=-1)
    return cos_TK, sin_TK


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width, heads, causal, window=None):
        super().__init__()
        self.heads = (heads, heads, heads)
        self.head_dim = width // heads
        # One projection for queries, keys and values.
        self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim, bias=False)
        self.window = window
        self.causal = causal
        self.out = nn.Linear(heads * self.head_dim, width, bias=False)

    def forward(self, x_BTD, rope, mask=None, cache=None):
        B, T = x_BTD.shape[:2]
        qkv_BTHK = self.qkv(x_BTD).view(B, T, -1, self.head_dim)
        parts = qkv_BTHK.split(self.heads, dim=2)
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        q_BHTK = rotate(q_BHTK, rope)
        k_BHTK = rotate(k_BHTK, rope)
        if cache is not None:
            if self.window is not None:
                k_BHTK = cache.recent(k_BHTK, 2, self.window)
                v_BHTK = cache.recent(v_BHTK, 2, self.window)
            else:
                k_BHTK, v_BHTK = cache.extend(k_BHTK, 2), cache.extend(v_BHTK, 2)
        causal = self.causal and mask is None
        table = cache.lower_right(x_BTD) if causal and cache is not None else mask
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=table,
            is_causal=causal and (cache is None or (table is None and T > 1)),
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
        # Whether rows hold several documents: the first forward says so.
        self.parted = None

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

    def recent(self, x, axis, window):
        """Put `x` behind the newest `window - 1` positions of earlier forwards, along `axis`; return these and `x`.

        There is room for an eighth of a window more, so that they are moved once in a while alone.
        """
        step = max(window // 8, 16)
        begin = max(0, self.position - window + 1)
        old = max(0, (self.position - window) // step * step)
        new = max(0, (self.position + x.size(axis) - window) // step * step)
        return self.near(x, axis, begin, old, new, window + step - 1)

    def near(self, x, axis, begin, old, new, room):
        """Put `x` behind what earlier forwards gave, along `axis`; return what stands from position `begin` on.

        The entry held positions from `old` on, and will from `new` on. Where that is not the same, it is another one.
        """
        self.ahead = x.size(axis)
        end = self.position + self.ahead
        if end > self.length:
            raise ValueError(
                f"the cache has room for {self.length}, not {end} positions"
            )
        if self.turn == len(self.entries):
            shape = list(x.shape)
            shape[axis] = min(room, self.length)
            self.entries.append(x.new_empty(shape))
        entry = self.entries[self.turn]
        if new == old:
            entry.narrow(axis, self.position - old, self.ahead).copy_(x)
            x = entry.narrow(axis, begin - old, end - begin)
        else:
            x = torch.cat(
                (entry.narrow(axis, begin - old, self.position - begin), x), dim=axis
            )
            entry, first = torch.empty_like(entry), max(begin, new)
            entry.narrow(axis, first - new, end - first).copy_(
                x.narrow(axis, first - begin, end - first)
            )
            self.entries[self.turn] = entry
        self.turn += 1
        return x

    def documents(self, documents_BT, x_BT):
        """Return where the document of each position so far begins: (B, S); None where a row is one document.

        Positions that come without numbers go on with the document before them.
        """
        told = documents_BT is not None
        if self.position == 0 and self.parted is None:
            self.parted = told
        if told != self.parted and (told or self.position == 0):
            raise ValueError(
                "numbers of documents come from the first forward on, or not at all"
            )
        if not self.parted:
            return None
        if documents_BT is None:
            self.turn += 1
            last_B1 = self.entries[self.turn].narrow(1, self.position - 1, 1)
            return self.extend(last_B1.expand(x_BT.shape[:2]), 1)
        begin_BT = newest(documents_BT, self.position)
        if self.position > 0:
            last_B1 = self.entries[self.turn + 1].narrow(1, self.position - 1, 1)
            same_B1 = documents_BT[:, :1] == self.entries[self.turn].gather(1, last_B1)
            begin_BT = torch.where(
                same_B1 & (begin_BT == self.position), last_B1, begin_BT
            )
        self.extend(documents_BT, 1)
        return self.extend(begin_BT, 1)

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
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x_BTD):
        h_BTF = self.up(x_BTD)
        h_BTF = F.gelu(h_BTF)
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


class LearnedPosition(nn.Module):
    """Adds a learned row to each position: x_BTD -> x_BTD (Gehring et al. 2017)."""

    def __init__(self, length, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, width))

    def forward(self, x_BTD, start, place_BT=None):
        if place_BT is not None:
            # Each document is counted from its own beginning.
            return x_BTD + F.embedding(place_BT, self.weight)
        end = start + x_BTD.size(1)
        if end > self.weight.size(0):
            raise ValueError(f"{self.weight.size(0)} positions are learned, not {end}")
        return x_BTD + self.weight[start:end]


class Rotary(nn.Module):
    """The angles that turn queries and keys: tables of their cosines and signed sines.

    The features of pair i turn by position * theta^(-2i / size).
    Source: Su et al. 2021, equations 15 and 34.
    """

    def __init__(self, size, theta):
        super().__init__()
        self.size = size
        self.theta = theta

    def forward(self, x_BTD, start, place_BT=None):
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        end = start + x_BTD.size(1)
        if place_BT is not None:
            # Each document is counted from its own beginning, in each row.
            position_T = place_BT.flatten().to(exact)
        else:
            position_T = torch.arange(start, end, dtype=exact, device=x_BTD.device)
        pair_P = torch.arange(0, self.size, 2, dtype=exact, device=x_BTD.device)
        angle_TP = torch.outer(position_T, self.theta ** (-pair_P / self.size))
        cos_TK, sin_TK = turns(angle_TP)
        if place_BT is not None:
            cos_TK = cos_TK.view(x_BTD.size(0), 1, x_BTD.size(1), -1)
            sin_TK = sin_TK.view(x_BTD.size(0), 1, x_BTD.size(1), -1)
        return cos_TK.to(x_BTD.dtype), sin_TK.to(x_BTD.dtype)


class Layer(nn.Module):
    """Block `layer` with mask = {type: chunked, size: 16}."""

    def __init__(self):
        super().__init__()
        self.norm_1 = RMSNorm(64, eps=1e-06)
        self.attention = Attention(64, 4, causal=False, window=16)
        self.norm_2 = RMSNorm(64, eps=1e-06)
        self.ffn = FeedForward(64, 256)

    def forward(self, x_BTD, rope, chunked_mask, causal_mask=None, cache=None):
        # <text>:13
        y_BTD = self.norm_1(x_BTD)
        y_BTD = self.attention(y_BTD, rope=rope, mask=chunked_mask, cache=cache)
        x_BTD = x_BTD + y_BTD
        # <text>:14
        y_BTD = self.norm_2(x_BTD)
        y_BTD = self.ffn(y_BTD)
        x_BTD = x_BTD + y_BTD
        return x_BTD


class LayerCausal(nn.Module):
    """Block `layer` with mask = causal."""

    def __init__(self):
        super().__init__()
        self.norm_1 = RMSNorm(64, eps=1e-06)
        self.attention = Attention(64, 4, causal=True)
        self.norm_2 = RMSNorm(64, eps=1e-06)
        self.ffn = FeedForward(64, 256)

    def forward(self, x_BTD, rope, causal_mask=None, chunked_mask=None, cache=None):
        # <text>:13
        y_BTD = self.norm_1(x_BTD)
        y_BTD = self.attention(y_BTD, rope=rope, mask=causal_mask, cache=cache)
        x_BTD = x_BTD + y_BTD
        # <text>:14
        y_BTD = self.norm_2(x_BTD)
        y_BTD = self.ffn(y_BTD)
        x_BTD = x_BTD + y_BTD
        return x_BTD


class Model(nn.Module):
    """tokens [B, T], documents [B, T] -> logits [B, T, 256]."""

    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(256, 64)
        self.position = LearnedPosition(128, 64)
        self.rope = Rotary(16, theta=10000.0)
        layers = (Layer, LayerCausal)
        self.layers = nn.ModuleList(layer() for layer in layers)
        self.norm = RMSNorm(64, eps=1e-06)
        self.logits = nn.Linear(64, 256, bias=False)
        self.logits.weight = self.tok.weight
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

    def forward(self, tokens_BT, documents_BT=None, cache=None):
        # <text>:16
        x_BTD = self.tok(tokens_BT)
        start = 0 if cache is None else cache.position
        documents_begin_BT = beginnings(documents_BT, tokens_BT, cache)
        documents_place_BT = (
            None
            if documents_begin_BT is None
            else places(documents_begin_BT, tokens_BT)
        )
        # <text>:17
        x_BTD = self.position(x_BTD, start, place_BT=documents_place_BT)
        rope = self.rope(x_BTD, start, place_BT=documents_place_BT)
        chunked_mask = chunk_table(
            x_BTD, start, size=16, held=16, begin_BS=documents_begin_BT
        )
        causal_mask = (
            None
            if documents_begin_BT is None
            else causal_table(x_BTD, start, begin_BS=documents_begin_BT)
        )
        # <text>:18
        for layer in self.layers:
            x_BTD = layer(
                x_BTD,
                rope=rope,
                chunked_mask=chunked_mask,
                causal_mask=causal_mask,
                cache=cache,
            )
        # <text>:19
        x_BTD = self.norm(x_BTD)
        # <text>:20
        logits_BTV = self.logits(x_BTD)
        if cache is not None:
            cache.advance()
        return logits_BTV
