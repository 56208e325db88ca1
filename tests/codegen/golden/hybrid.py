"""hybrid: Five sliding layers to one global, grouped queries, sandwich norms, a mixture
of experts in every other layer.

The capitals behind a name are its axes: B batch; T length of tokens; D d_model = 1024;
V vocab_size = 32000; S positions that are read; H heads; K features of a head; E
experts; F hidden features; N positions of the whole batch; P pairs of features; Q
blocks of rows; R rows, one a choice.

Written by tfdsl 0.1.0 from hybrid.yaml.
The file belongs to whoever compiled it.
"""

import torch
import torch.nn.functional as F
from torch import nn


def each_product(x_RD, weight_EFD, counts):
    """Return the rows of each expert, which follow each other, times its matrix."""
    y_RF = x_RD.new_empty(x_RD.size(0), weight_EFD.size(1))
    end = 0
    for expert, count in enumerate(counts):
        if count > 0:
            start, end = end, end + count
            torch.mm(x_RD[start:end], weight_EFD[expert].t(), out=y_RF[start:end])
    return y_RF


def grouped_product(x_RD, weight_EFD, counts):
    """Multiply the rows of each expert by its matrix."""
    if torch.is_autocast_enabled(x_RD.device.type):
        dtype = torch.get_autocast_dtype(x_RD.device.type)
        x_RD, weight_EFD = x_RD.to(dtype), weight_EFD.to(dtype)
    if torch.is_grad_enabled():
        return GroupedProduct.apply(x_RD, weight_EFD, counts)
    return each_product(x_RD, weight_EFD, counts)


def causal_table(x_BTD, start, window=None, whole=None):
    """Return a (T, S) table, true where a key does not come after the query.

    The T queries stand behind `start` earlier positions: S = start + T.
    """
    if whole is not None and start == 0 and x_BTD.size(1) > whole:
        # One row for all queries: the layer takes a long sequence in blocks, and they hide the rest.
        return torch.ones(1, 1, dtype=torch.bool, device=x_BTD.device)
    key_S = torch.arange(start + x_BTD.size(1), device=x_BTD.device)
    query_T1 = key_S[start:].unsqueeze(1)
    table_TS = key_S <= query_T1
    if window is not None:
        # At most `window` keys, its own position among them.
        table_TS = table_TS & (key_S > query_T1 - window)
    return table_TS


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


def fold(x_BHTK, size):
    """Cut a sequence into blocks of `size` and make them a batch: x_BHTK -> x_NHCK. Zeros fill the last one."""
    x_BTHK = F.pad(x_BHTK.transpose(1, 2), (0, 0, 0, 0, 0, -x_BHTK.size(2) % size))
    return x_BTHK.reshape(-1, size, *x_BTHK.shape[2:]).transpose(1, 2)


def unfold(x_NHCK, batch, length):
    """Put the blocks of each sequence behind one another again: x_NHCK -> x_BHTK."""
    x_BTHK = x_NHCK.transpose(1, 2).reshape(batch, -1, x_NHCK.size(1), x_NHCK.size(3))
    return x_BTHK[:, :length].transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention: x_BTD -> x_BTD (Vaswani et al. 2017, section 3.2)."""

    def __init__(
        self, width, heads, kv_heads, q_norm, k_norm, causal, window=None, blocks=None
    ):
        super().__init__()
        # A group of query heads shares each key and value head (Ainslie et al. 2023).
        self.heads = (heads, kv_heads, kv_heads)
        self.head_dim = width // heads
        # One projection for queries, keys and values.
        self.qkv = nn.Linear(width, sum(self.heads) * self.head_dim, bias=False)
        self.q_norm = q_norm
        self.k_norm = k_norm
        self.window = window
        self.blocks = blocks
        self.causal = causal
        self.out = nn.Linear(heads * self.head_dim, width, bias=False)

    def forward(self, x_BTD, rope, mask=None, cache=None):
        B, T = x_BTD.shape[:2]
        qkv_BTHK = self.qkv(x_BTD).view(B, T, -1, self.head_dim)
        parts = qkv_BTHK.split(self.heads, dim=2)
        q_BTHK, k_BTHK, v_BTHK = parts
        q_BTHK, k_BTHK = self.q_norm(q_BTHK), self.k_norm(k_BTHK)
        parts = q_BTHK, k_BTHK, v_BTHK
        q_BHTK, k_BHTK, v_BHTK = (part_BTHK.transpose(1, 2) for part_BTHK in parts)
        q_BHTK = rotate(q_BHTK, rope)
        k_BHTK = rotate(k_BHTK, rope)
        if cache is not None:
            if self.window is not None:
                k_BHTK = cache.recent(k_BHTK, 2, self.window)
                v_BHTK = cache.recent(v_BHTK, 2, self.window)
            else:
                k_BHTK, v_BHTK = cache.extend(k_BHTK, 2), cache.extend(v_BHTK, 2)
        if self.blocks is not None and mask is not None and mask.size(-2) < T:
            # The mask of a long sequence tells padding alone; what else is hidden, the blocks leave out.
            y_BHTK = self.blocks(q_BHTK, k_BHTK, v_BHTK, mask)
        else:
            causal = self.causal and mask is None
            table = cache.lower_right(x_BTD) if causal and cache is not None else mask
            y_BHTK = F.scaled_dot_product_attention(
                q_BHTK,
                k_BHTK,
                v_BHTK,
                attn_mask=table,
                is_causal=causal and (cache is None or (table is None and T > 1)),
                enable_gqa=True,
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

    def lower_right(self, x_BTD):
        """Return the mask for several positions behind earlier ones; one sees all."""
        if self.position == 0 or x_BTD.size(1) == 1:
            return None
        return causal_table(x_BTD, self.position)

    def advance(self):
        """End a forward: its positions are behind us."""
        self.position += self.ahead
        self.turn = 0


class GroupedProduct(torch.autograd.Function):
    """The products of all experts as one step of the backward pass."""

    @staticmethod
    def forward(ctx, x_RD, weight_EFD, counts):
        ctx.save_for_backward(x_RD, weight_EFD)
        ctx.counts = counts
        return each_product(x_RD, weight_EFD, counts)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_RF):
        x_RD, weight_EFD = ctx.saved_tensors
        grad_RF = grad_RF.contiguous()
        grad_RD, grad_EFD = torch.empty_like(x_RD), torch.zeros_like(weight_EFD)
        end = 0
        for expert, count in enumerate(ctx.counts):
            if count > 0:
                start, end = end, end + count
                part_RF = grad_RF[start:end]
                torch.mm(part_RF, weight_EFD[expert], out=grad_RD[start:end])
                torch.mm(part_RF.t(), x_RD[start:end], out=grad_EFD[expert])
        return grad_RD, grad_EFD, None


class MixtureOfExperts(nn.Module):
    """Feed-forward layers, of which a router picks a few a position: x_BTD -> x_BTD.

    Source: Shazeer et al. 2017; Fedus et al. 2021; DeepSeek-AI 2024.
    """

    def __init__(self, width, hidden, experts, top_k):
        super().__init__()
        self.top_k = top_k
        self.router = nn.Linear(width, experts, bias=False)
        self.up = nn.Parameter(torch.zeros(experts, 2 * hidden, width))
        self.down = nn.Parameter(torch.zeros(experts, width, hidden))

    def forward(self, x_BTD):
        x_ND = x_BTD.flatten(0, -2)
        share_NK, expert_NK = self.choose(x_ND)
        expert_R = expert_NK.flatten()
        # A row for each choice, in the order of the experts.
        order_R = expert_R.argsort(stable=True)
        rows_RD, expert_R = x_ND[order_R // self.top_k], expert_R[order_R]
        if torch.compiler.is_compiling() or rows_RD.is_meta:
            y_RD = self.run_blocks(rows_RD, expert_R)
        else:
            y_RD = self.run_experts(rows_RD, expert_R)
        y_RD = torch.empty_like(y_RD).index_copy(0, order_R, y_RD)
        y_NKD = y_RD.view(*expert_NK.shape, -1)
        y_NKD = share_NK.unsqueeze(-1) * y_NKD
        y_ND = y_NKD.sum(dim=1)
        return y_ND.view_as(x_BTD)

    def choose(self, x_ND):
        """Return the share of each chosen expert, and which they are."""
        score_NE = self.router(x_ND)
        score_NK, expert_NK = score_NE.topk(self.top_k, dim=-1)
        share_NK = score_NK.softmax(dim=-1)
        return share_NK, expert_NK

    def run_experts(self, rows_RD, expert_R):
        """Give each expert the rows that chose it."""
        counts = expert_R.bincount(minlength=self.up.size(0)).tolist()
        h_RF = grouped_product(rows_RD, self.up, counts)
        return grouped_product(self.activate(h_RF), self.down, counts)

    def run_blocks(self, rows_RD, expert_R):
        """Do the same with shapes that the choices do not move: a block has one expert.

        An expert's last block may be part empty, so there is one more block an expert.
        """
        experts, block = self.up.size(0), 1 if rows_RD.is_meta else 32
        blocks = expert_R.size(0) // block + (experts if block > 1 else 0)
        rows_E = expert_R.new_zeros(experts)
        rows_E = rows_E.scatter_add(0, expert_R, torch.ones_like(expert_R))
        blocks_E = (rows_E + block - 1) // block
        # How far the rows of an expert move to stand at the start of a block.
        shift_E = (blocks_E.cumsum(0) - blocks_E) * block - rows_E.cumsum(0) + rows_E
        row_R = torch.arange(expert_R.size(0), device=expert_R.device)
        place_R = row_R + shift_E[expert_R]
        block_Q = torch.arange(blocks, device=expert_R.device)
        owner_Q = torch.searchsorted(blocks_E.cumsum(0), block_Q, right=True)
        owner_Q = owner_Q.clamp(max=experts - 1)
        padded_PD = rows_RD.new_zeros(blocks * block, rows_RD.size(1))
        padded_PD = padded_PD.index_copy(0, place_R, rows_RD)
        h_QNF = padded_PD.view(blocks, block, -1) @ self.up[owner_Q].mT
        y_QND = self.activate(h_QNF) @ self.down[owner_Q].mT
        return y_QND.flatten(0, 1)[place_R]

    def activate(self, h_RF):
        """Put the hidden units, or their gate, through the activation."""
        gate_RF, h_RF = h_RF.chunk(2, dim=-1)
        return F.silu(gate_RF) * h_RF


class FeedForward(nn.Module):
    """Two projections with an activation between them: x_BTD -> x_BTD.

    Source: Vaswani et al. 2017, equation 2.
    """

    def __init__(self, width, hidden):
        super().__init__()
        # One projection for the gate and for what it gates (Shazeer 2020).
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x_BTD):
        h_BTF = self.up(x_BTD)
        gate_BTF, h_BTF = h_BTF.chunk(2, dim=-1)
        h_BTF = F.silu(gate_BTF) * h_BTF
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


class Rotary(nn.Module):
    """The angles that turn queries and keys: tables of their cosines and signed sines.

    The features of pair i turn by position * theta^(-2i / size).
    Source: Su et al. 2021, equations 15 and 34.
    """

    def __init__(self, size, theta):
        super().__init__()
        self.size = size
        self.theta = theta

    def forward(self, x_BTD, start):
        exact = torch.promote_types(x_BTD.dtype, torch.float32)
        end = start + x_BTD.size(1)
        position_T = torch.arange(start, end, dtype=exact, device=x_BTD.device)
        pair_P = torch.arange(0, self.size, 2, dtype=exact, device=x_BTD.device)
        angle_TP = torch.outer(position_T, self.theta ** (-pair_P / self.size))
        cos_TK, sin_TK = turns(angle_TP)
        return cos_TK.to(x_BTD.dtype), sin_TK.to(x_BTD.dtype)


class Windows(nn.Module):
    """Attention within a window in O(T · window): a block of queries with the keys that one of them may see.

    These stand up to `before` before the block and `after` behind it; the first `tokens` are seen by all and, with
    `rows`, see all. `mask` says which positions are real. Source: Beltagy et al. 2020, section 3.1.
    """

    def __init__(self, window, block, before):
        super().__init__()
        self.window = window
        self.block = block
        self.before = before

    def forward(self, q_BHTK, k_BHTK, v_BHTK, mask):
        B, T = q_BHTK.size(0), q_BHTK.size(2)
        keep_BT = mask.flatten(0, -2).expand(B, T)
        y_NHCK = F.scaled_dot_product_attention(
            fold(q_BHTK, self.block),
            self.near(k_BHTK),
            self.near(v_BHTK),
            attn_mask=self.table(keep_BT),
            enable_gqa=True,
        )
        return unfold(y_NHCK, B, T)

    def near(self, x_BHTK):
        """Return what stands in and around each block: x_BHTK -> x_NHSK."""
        size = self.before + self.block
        x_BHSK = F.pad(x_BHTK, (0, 0, self.before, -x_BHTK.size(2) % self.block))
        return x_BHSK.unfold(2, size, self.block).permute(0, 2, 1, 4, 3).flatten(0, 1)

    def table(self, keep_BT):
        """Return the mask of the blocks (N, 1, C, S): true where a query may see a key."""
        size = self.before + self.block
        key_S = torch.arange(-self.before, self.block, device=keep_BT.device)
        query_C1 = torch.arange(self.block, device=keep_BT.device).unsqueeze(1)
        near_CS = (key_S <= query_C1) & (key_S > query_C1 - self.window)
        real_BS = F.pad(keep_BT, (self.before, -keep_BT.size(1) % self.block))
        real_BNS = real_BS.unfold(1, size, self.block)
        table_BNCS = near_CS & real_BNS.unsqueeze(2)
        return table_BNCS.flatten(0, 1).unsqueeze(1)


class Local(nn.Module):
    """Block `local`."""

    def __init__(self):
        super().__init__()
        self.attention = Attention(
            1024,
            16,
            kv_heads=4,
            q_norm=RMSNorm(64, eps=1e-06),
            k_norm=RMSNorm(64, eps=1e-06),
            causal=False,
            window=1024,
            blocks=Windows(1024, 512, 1024),
        )

    def forward(self, x_BTD, rope, sliding_mask=None, cache=None):
        # hybrid.yaml:12
        x_BTD = self.attention(x_BTD, rope=rope, mask=sliding_mask, cache=cache)
        return x_BTD


class Dense(nn.Module):
    """Block `dense`."""

    def __init__(self):
        super().__init__()
        self.ffn = FeedForward(1024, 4096)

    def forward(self, x_BTD):
        # hybrid.yaml:14
        x_BTD = self.ffn(x_BTD)
        return x_BTD


class LayerLocalDense(nn.Module):
    """Block `layer` with mix = local, mlp = dense."""

    def __init__(self):
        super().__init__()
        self.norm_1 = RMSNorm(1024, eps=1e-06)
        self.mix = Local()
        self.norm_2 = RMSNorm(1024, eps=1e-06)
        self.norm_3 = RMSNorm(1024, eps=1e-06)
        self.mlp = Dense()
        self.norm_4 = RMSNorm(1024, eps=1e-06)

    def forward(self, x_BTD, rope, sliding_mask=None, cache=None):
        # hybrid.yaml:19
        y_BTD = self.norm_1(x_BTD)
        y_BTD = self.mix(y_BTD, rope, sliding_mask, cache=cache)
        y_BTD = self.norm_2(y_BTD)
        x_BTD = x_BTD + y_BTD
        # hybrid.yaml:20
        y_BTD = self.norm_3(x_BTD)
        y_BTD = self.mlp(y_BTD)
        y_BTD = self.norm_4(y_BTD)
        x_BTD = x_BTD + y_BTD
        return x_BTD


class Sparse(nn.Module):
    """Block `sparse`."""

    def __init__(self):
        super().__init__()
        self.moe = MixtureOfExperts(1024, 2048, experts=8, top_k=2)

    def forward(self, x_BTD):
        # hybrid.yaml:15
        x_BTD = self.moe(x_BTD)
        return x_BTD


class LayerLocalSparse(nn.Module):
    """Block `layer` with mix = local, mlp = sparse."""

    def __init__(self):
        super().__init__()
        self.norm_1 = RMSNorm(1024, eps=1e-06)
        self.mix = Local()
        self.norm_2 = RMSNorm(1024, eps=1e-06)
        self.norm_3 = RMSNorm(1024, eps=1e-06)
        self.mlp = Sparse()
        self.norm_4 = RMSNorm(1024, eps=1e-06)

    def forward(self, x_BTD, rope, sliding_mask=None, cache=None):
        # hybrid.yaml:19
        y_BTD = self.norm_1(x_BTD)
        y_BTD = self.mix(y_BTD, rope, sliding_mask, cache=cache)
        y_BTD = self.norm_2(y_BTD)
        x_BTD = x_BTD + y_BTD
        # hybrid.yaml:20
        y_BTD = self.norm_3(x_BTD)
        y_BTD = self.mlp(y_BTD)
        y_BTD = self.norm_4(y_BTD)
        x_BTD = x_BTD + y_BTD
        return x_BTD


class Global(nn.Module):
    """Block `global`."""

    def __init__(self):
        super().__init__()
        self.attention = Attention(
            1024,
            16,
            kv_heads=4,
            q_norm=RMSNorm(64, eps=1e-06),
            k_norm=RMSNorm(64, eps=1e-06),
            causal=True,
        )

    def forward(self, x_BTD, rope, cache=None):
        # hybrid.yaml:13
        x_BTD = self.attention(x_BTD, rope=rope, cache=cache)
        return x_BTD


class LayerGlobalSparse(nn.Module):
    """Block `layer` with mix = global, mlp = sparse."""

    def __init__(self):
        super().__init__()
        self.norm_1 = RMSNorm(1024, eps=1e-06)
        self.mix = Global()
        self.norm_2 = RMSNorm(1024, eps=1e-06)
        self.norm_3 = RMSNorm(1024, eps=1e-06)
        self.mlp = Sparse()
        self.norm_4 = RMSNorm(1024, eps=1e-06)

    def forward(self, x_BTD, rope, sliding_mask=None, cache=None):
        # hybrid.yaml:19
        y_BTD = self.norm_1(x_BTD)
        y_BTD = self.mix(y_BTD, rope, cache=cache)
        y_BTD = self.norm_2(y_BTD)
        x_BTD = x_BTD + y_BTD
        # hybrid.yaml:20
        y_BTD = self.norm_3(x_BTD)
        y_BTD = self.mlp(y_BTD)
        y_BTD = self.norm_4(y_BTD)
        x_BTD = x_BTD + y_BTD
        return x_BTD


class Model(nn.Module):
    """tokens [B, T] -> logits [B, T, 32000]."""

    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(32000, 1024)
        self.rope = Rotary(64, theta=10000.0)
        layers = (
            LayerLocalDense,
            LayerLocalSparse,
            LayerLocalDense,
            LayerLocalSparse,
            LayerLocalDense,
            LayerGlobalSparse,
        )
        self.layers = nn.ModuleList(layer() for layer in 4 * layers)
        self.norm = RMSNorm(1024, eps=1e-06)
        self.logits = nn.Linear(1024, 32000, bias=False)
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

    def forward(self, tokens_BT, cache=None):
        # hybrid.yaml:22
        x_BTD = self.tok(tokens_BT)
        start = 0 if cache is None else cache.position
        rope = self.rope(x_BTD, start)
        sliding_mask = (
            None
            if x_BTD.size(1) == 1
            else causal_table(x_BTD, min(start, 1023), window=1024, whole=2048)
        )
        # hybrid.yaml:23
        for layer in self.layers:
            x_BTD = layer(x_BTD, rope=rope, sliding_mask=sliding_mask, cache=cache)
        # hybrid.yaml:29
        x_BTD = self.norm(x_BTD)
        # hybrid.yaml:30
        logits_BTV = self.logits(x_BTD)
        if cache is not None:
            cache.advance()
        return logits_BTV
