"""feedforward: two projections and a function between them, at each position by itself; and a mixture of those."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.activations import ACTIVATIONS, GATED


class FeedForward(nn.Module):
    """Two projections with an activation between them: x_BTD -> x_BTD.

    Source: Vaswani et al. 2017, equation 2.
    """

    def __init__(
        self, width: int, hidden: int, activation: str = "gelu", bias: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.activation = activation
        if activation in GATED:
            # One projection for the gate and for what it gates (Shazeer 2020).
            self.up = nn.Linear(width, 2 * hidden, bias=bias)
        else:
            self.up = nn.Linear(width, hidden, bias=bias)
        self.dropout = dropout
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        h_BTF = self.up(x_BTD)
        if self.activation in GATED:
            gate_BTF, h_BTF = h_BTF.chunk(2, dim=-1)
            h_BTF = ACTIVATIONS[self.activation](gate_BTF) * h_BTF
        else:
            h_BTF = ACTIVATIONS[self.activation](h_BTF)
        if self.dropout > 0:
            h_BTF = F.dropout(h_BTF, self.dropout, self.training)
        return self.down(h_BTF)


class MixtureOfExperts(nn.Module):
    """Feed-forward layers, of which a router picks a few a position: x_BTD -> x_BTD.

    What the chosen give is weighted by a softmax over their scores.
    Source: Shazeer et al. 2017; Jiang et al. 2024, section 2.1.
    """

    def __init__(self, width: int, hidden: int, experts: int, top_k: int = 2, activation: str = "swiglu") -> None:
        super().__init__()
        self.top_k = top_k
        self.activation = activation
        self.router = nn.Linear(width, experts, bias=False)
        if activation in GATED:
            self.up = nn.Parameter(torch.zeros(experts, 2 * hidden, width))
        else:
            self.up = nn.Parameter(torch.zeros(experts, hidden, width))
        self.down = nn.Parameter(torch.zeros(experts, width, hidden))

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_ND = x_BTD.flatten(0, -2)
        score_NK, expert_NK = self.router(x_ND).topk(self.top_k, dim=-1)
        expert_R = expert_NK.flatten()
        # A row for each choice, in the order of the experts.
        order_R = expert_R.argsort(stable=True)
        rows_RD = x_ND[order_R // self.top_k]
        if torch.compiler.is_compiling() or x_BTD.is_meta:
            y_RD = self.run_blocks(rows_RD, expert_R[order_R])
        else:
            y_RD = self.run_experts(rows_RD, expert_R)
        y_RD = torch.empty_like(y_RD).index_copy(0, order_R, y_RD)
        share_NK1 = score_NK.softmax(dim=-1).unsqueeze(-1)
        y_ND = (share_NK1 * y_RD.view(*score_NK.shape, -1)).sum(dim=1)
        return y_ND.view_as(x_BTD)

    def run_experts(self, rows_RD: Tensor, expert_R: Tensor) -> Tensor:
        """Give each expert the rows that chose it."""
        counts = expert_R.bincount(minlength=self.up.size(0)).tolist()
        made = []
        up_EFD, down_EDF = self.up.unbind(), self.down.unbind()
        for expert, rows in enumerate(rows_RD.split(counts)):
            if rows.size(0) > 0:
                made.append(self.expert(rows, up_EFD[expert].t(), down_EDF[expert].t()))
        return torch.cat(made)

    def run_blocks(self, rows_RD: Tensor, expert_R: Tensor) -> Tensor:
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
        up_QDF, down_QFD = self.up[owner_Q].mT, self.down[owner_Q].mT
        y_QND = self.expert(padded_PD.view(blocks, block, -1), up_QDF, down_QFD)
        return y_QND.flatten(0, 1)[place_R]

    def expert(self, x_RD: Tensor, up_DF: Tensor, down_FD: Tensor) -> Tensor:
        """Return what an expert with these weights makes of `x_RD`."""
        h_RF = x_RD @ up_DF
        if self.activation in GATED:
            gate_RF, h_RF = h_RF.chunk(2, dim=-1)
            h_RF = ACTIVATIONS[self.activation](gate_RF) * h_RF
        else:
            h_RF = ACTIVATIONS[self.activation](h_RF)
        return h_RF @ down_FD
