"""windows: attention whose queries see what is near them, taken in blocks: its cost grows as the length does."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def fold(x_BHTK: Tensor, size: int) -> Tensor:
    """Cut a sequence into blocks of `size` and make them a batch: x_BHTK -> x_NHCK. Zeros fill the last one."""
    x_BTHK = F.pad(x_BHTK.transpose(1, 2), (0, 0, 0, 0, 0, -x_BHTK.size(2) % size))
    return x_BTHK.reshape(-1, size, *x_BTHK.shape[2:]).transpose(1, 2)


def unfold(x_NHCK: Tensor, batch: int, length: int) -> Tensor:
    """Put the blocks of each sequence behind one another again: x_NHCK -> x_BHTK."""
    x_BTHK = x_NHCK.transpose(1, 2).reshape(batch, -1, x_NHCK.size(1), x_NHCK.size(3))
    return x_BTHK[:, :length].transpose(1, 2)


class Windows(nn.Module):
    """Attention within a window in O(T · window): a block of queries with the keys that one of them may see.

    These stand up to `before` before the block and `after` behind it; the first `tokens` are seen by all and, with
    `rows`, see all. `mask` says which positions are real. Source: Beltagy et al. 2020, section 3.1.
    """

    def __init__(
        self,
        window: int,
        block: int,
        before: int,
        after: int = 0,
        tokens: int | None = None,
        rows: bool = False,
        dropout: float = 0.0,
        scale: float | None = None,
        grouped: bool = False,
    ) -> None:
        super().__init__()
        self.window = window
        self.block = block
        self.before = before
        self.after = after
        self.tokens = tokens
        self.rows = rows
        self.dropout = dropout
        self.scale = scale
        self.grouped = grouped

    def forward(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, mask: Tensor) -> Tensor:
        B, T = q_BHTK.size(0), q_BHTK.size(2)
        keep_BT = mask.flatten(0, -2).expand(B, T)
        y_NHCK = F.scaled_dot_product_attention(
            fold(q_BHTK, self.block),
            self.near(k_BHTK),
            self.near(v_BHTK),
            attn_mask=self.table(keep_BT),
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
            enable_gqa=self.grouped,
        )
        y_BHTK = unfold(y_NHCK, B, T)
        if self.rows:
            # The first ones see all.
            first_BHTK = F.scaled_dot_product_attention(
                q_BHTK[:, :, : self.tokens],
                k_BHTK,
                v_BHTK,
                attn_mask=keep_BT[:, None, None],
                dropout_p=self.dropout if self.training else 0.0,
                scale=self.scale,
                enable_gqa=self.grouped,
            )
            y_BHTK = torch.cat((first_BHTK, y_BHTK[:, :, self.tokens :]), dim=2)
        return y_BHTK

    def near(self, x_BHTK: Tensor) -> Tensor:
        """Return what stands in and around each block: x_BHTK -> x_NHSK."""
        size = self.before + self.block + self.after
        x_BHSK = F.pad(x_BHTK, (0, 0, self.before, -x_BHTK.size(2) % self.block + self.after))
        x_NHSK = x_BHSK.unfold(2, size, self.block).permute(0, 2, 1, 4, 3).flatten(0, 1)
        if self.tokens is not None:
            first_BHSK = x_BHTK[:, :, : self.tokens]
            first_NHSK = first_BHSK.repeat_interleave(x_NHSK.size(0) // x_BHTK.size(0), dim=0)
            x_NHSK = torch.cat((first_NHSK, x_NHSK), dim=2)
        return x_NHSK

    def table(self, keep_BT: Tensor) -> Tensor:
        """Return the mask of the blocks (N, 1, C, S): true where a query may see a key."""
        size = self.before + self.block + self.after
        key_S = torch.arange(-self.before, self.block + self.after, device=keep_BT.device)
        query_C1 = torch.arange(self.block, device=keep_BT.device).unsqueeze(1)
        if self.after > 0:
            near_CS = (query_C1 - key_S).abs() < self.window
        else:
            near_CS = (key_S <= query_C1) & (key_S > query_C1 - self.window)
        real_BS = F.pad(keep_BT, (self.before, -keep_BT.size(1) % self.block + self.after))
        real_BNS = real_BS.unfold(1, size, self.block)
        table_BNCS = near_CS & real_BNS.unsqueeze(2)
        if self.tokens is not None:
            begin_N11 = torch.arange(0, keep_BT.size(1), self.block, device=keep_BT.device).view(-1, 1, 1)
            first_BNCS = keep_BT[:, None, None, : self.tokens].expand(*table_BNCS.shape[:3], -1)
            if self.after == 0:
                place_S = torch.arange(self.tokens, device=keep_BT.device)
                first_BNCS = first_BNCS & (place_S <= begin_N11 + query_C1)
            table_BNCS = table_BNCS & (begin_N11 + key_S >= self.tokens)
            table_BNCS = torch.cat((first_BNCS, table_BNCS), dim=-1)
        return table_BNCS.flatten(0, 1).unsqueeze(1)


class Strides(nn.Module):
    """Attention among positions that are whole steps apart: each residue of the place is a sequence of its own."""

    def __init__(self, step: int, near: nn.Module) -> None:
        super().__init__()
        self.step = step
        self.near = near

    def forward(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, mask: Tensor) -> Tensor:
        B, _, T, _ = q_BHTK.shape
        keep_BHTK = mask.flatten(0, -2).expand(B, T)[:, None, :, None]
        mask = self.apart(keep_BHTK).transpose(2, 3)
        y_NHLK = self.near(self.apart(q_BHTK), self.apart(k_BHTK), self.apart(v_BHTK), mask)
        y_BHLPK = y_NHLK.unflatten(0, (B, self.step)).permute(0, 2, 3, 1, 4)
        return y_BHLPK.flatten(2, 3)[:, :, :T]

    def apart(self, x_BHTK: Tensor) -> Tensor:
        """Make a sequence of the positions that are whole steps apart: x_BHTK -> x_NHLK."""
        x_BHTK = F.pad(x_BHTK, (0, 0, 0, -x_BHTK.size(2) % self.step))
        return x_BHTK.unflatten(2, (-1, self.step)).permute(0, 3, 1, 2, 4).flatten(0, 1)


class Chunks(nn.Module):
    """Attention within chunks of `size` positions, in O(T · size). `mask` says which positions are real."""

    def __init__(
        self,
        size: int,
        causal: bool = True,
        dropout: float = 0.0,
        scale: float | None = None,
        grouped: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.causal = causal
        self.dropout = dropout
        self.scale = scale
        self.grouped = grouped

    def forward(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, mask: Tensor) -> Tensor:
        B, T = q_BHTK.size(0), q_BHTK.size(2)
        table = None
        if mask.dim() > 2 or not self.causal:
            # Some positions are padding; behind the last one of a sequence are none.
            keep_BHTK = mask.flatten(0, -2).expand(B, T)[:, None, :, None]
            table = fold(keep_BHTK, self.size).transpose(2, 3)
        if self.causal and table is not None:
            table = table & torch.ones(self.size, self.size, dtype=torch.bool, device=table.device).tril()
        y_NHCK = F.scaled_dot_product_attention(
            fold(q_BHTK, self.size),
            fold(k_BHTK, self.size),
            fold(v_BHTK, self.size),
            attn_mask=table,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal and table is None,
            scale=self.scale,
            enable_gqa=self.grouped,
        )
        return unfold(y_NHCK, B, T)
