"""sparse: attention of blocks of queries to some blocks of keys: near ones, the first and the last, and drawn ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.plan import sparse_plan
from tfdsl.layers.windows import fold, unfold


class SparseBlocks(nn.Module):
    """Block-sparse attention in O(T · block), with a draw of its own for each key head.

    `mask` says which positions are real. Source: Zaheer et al. 2020, section 2.
    """

    def __init__(
        self,
        block: int,
        local: int,
        first: int,
        random: int,
        seed: int = 0,
        again: int | None = None,
        causal: bool = False,
        dropout: float = 0.0,
        scale: float | None = None,
        grouped: bool = False,
    ) -> None:
        super().__init__()
        self.block = block
        self.local = local
        self.first = first
        self.random = random
        self.seed = seed
        self.again = again
        self.causal = causal
        self.dropout = dropout
        self.scale = scale
        self.grouped = grouped

    def forward(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, mask: Tensor) -> Tensor:
        B, T = q_BHTK.size(0), q_BHTK.size(2)
        keep_BT = mask.flatten(0, -2).expand(B, T)
        if self.causal:
            return self.some(q_BHTK, k_BHTK, v_BHTK, keep_BT, 0)
        # The blocks at either end read all, the others some.
        begin, end = self.first * self.block, (-(-T // self.block) - self.first) * self.block
        y_BHTK = self.some(q_BHTK[:, :, begin:end], k_BHTK, v_BHTK, keep_BT, self.first)
        edge_BHEK = F.scaled_dot_product_attention(
            torch.cat((q_BHTK[:, :, :begin], q_BHTK[:, :, end:]), dim=2),
            k_BHTK,
            v_BHTK,
            attn_mask=keep_BT[:, None, None],
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
            enable_gqa=self.grouped,
        )
        return torch.cat((edge_BHEK[:, :, :begin], y_BHTK, edge_BHEK[:, :, begin:]), dim=2)

    def some(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, keep_BT: Tensor, begin: int) -> Tensor:
        """Return what the queries read, the first of which stands in block `begin`."""
        B, H, T, _ = q_BHTK.shape
        index_HNM, plan_HNM = self.read(k_BHTK, begin, -(-T // self.block))
        keep_BHTK = keep_BT[:, None, :, None].expand(-1, k_BHTK.size(1), -1, -1)
        table_NHCS = self.gather(keep_BHTK, index_HNM).transpose(2, 3)
        plan_NHCS = plan_HNM.transpose(0, 1).repeat_interleave(self.block, dim=2).unsqueeze(2)
        if self.causal:
            place_C = torch.arange(self.block, device=q_BHTK.device)
            key_NHS = (index_HNM.transpose(0, 1).unsqueeze(3) * self.block + place_C).flatten(2)
            query_N1C1 = torch.arange(key_NHS.size(0) * self.block, device=q_BHTK.device).view(-1, 1, self.block, 1)
            plan_NHCS = plan_NHCS & (key_NHS.unsqueeze(2) <= query_N1C1)
        table_NHCS = table_NHCS & plan_NHCS.repeat(B, 1, 1, 1)
        if self.grouped:
            table_NHCS = table_NHCS.repeat_interleave(H // k_BHTK.size(1), dim=1)
        y_NHCK = F.scaled_dot_product_attention(
            fold(q_BHTK, self.block),
            self.gather(k_BHTK, index_HNM),
            self.gather(v_BHTK, index_HNM),
            attn_mask=table_NHCS,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
            enable_gqa=self.grouped,
        )
        return unfold(y_NHCK, B, T)

    def read(self, k_BHTK: Tensor, begin: int, count: int) -> tuple[Tensor, Tensor]:
        """Return which blocks `count` blocks of queries read, index_HNM, and which of these entries are meant."""
        total = -(-k_BHTK.size(2) // self.block)
        plan_HNN = sparse_plan(
            total, k_BHTK.size(1), self.local, self.first, self.random, self.seed, self.causal, k_BHTK
        )
        most = self.local + self.random + (self.first if self.causal else 2 * self.first)
        meant_HNM, index_HNM = plan_HNN[:, begin : begin + count].byte().topk(most, dim=-1)
        if self.again is not None:
            # The first block once more for each that is not drawn.
            index_HNM, meant_HNM = F.pad(index_HNM, (0, self.again)), F.pad(meant_HNM, (0, self.again), value=1)
        return index_HNM, meant_HNM > 0

    def gather(self, x_BHTK: Tensor, index_HNM: Tensor) -> Tensor:
        """Return the blocks that each block of queries reads, one behind the other: x_BHTK -> x_NHSK."""
        H, N, M = index_HNM.shape
        x_BHTK = F.pad(x_BHTK, (0, 0, 0, -x_BHTK.size(2) % self.block))
        total = x_BHTK.size(2) // self.block
        head_H11 = torch.arange(0, H * total, total, device=x_BHTK.device).view(-1, 1, 1)
        row_NHM = (index_HNM + head_H11).transpose(0, 1).flatten()
        x_BRCK = x_BHTK.reshape(x_BHTK.size(0), -1, self.block, x_BHTK.size(3)).index_select(1, row_NHM)
        return x_BRCK.view(x_BHTK.size(0) * N, H, M * self.block, x_BHTK.size(3))
