"""experts: feed-forward layers of which a router picks a few for each position."""

# pyright: reportIncompatibleMethodOverride=false
# (torch gives the two methods of a function no arguments that anyone could mean)

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.activations import ACTIVATIONS, clamped_swiglu
from tfdsl.layers.part import Part
from tfdsl.layers.routing import Routing


def each_product(x_RD: Tensor, weight_EFD: Tensor, counts: list[int]) -> Tensor:
    """Return the rows of each expert, which follow each other, times its matrix."""
    y_RF = x_RD.new_empty(x_RD.size(0), weight_EFD.size(1))
    end = 0
    for expert, count in enumerate(counts):
        if count > 0:
            start, end = end, end + count
            torch.mm(x_RD[start:end], weight_EFD[expert].t(), out=y_RF[start:end])
    return y_RF


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


def grouped_product(x_RD: Tensor, weight_EFD: Tensor, counts: list[int]) -> Tensor:
    """Multiply the rows of each expert by its matrix."""
    if torch.is_autocast_enabled(x_RD.device.type):
        dtype = torch.get_autocast_dtype(x_RD.device.type)
        x_RD, weight_EFD = x_RD.to(dtype), weight_EFD.to(dtype)
    if torch.is_grad_enabled():
        return GroupedProduct.apply(x_RD, weight_EFD, counts)  # pyright: ignore[reportReturnType]
    return each_product(x_RD, weight_EFD, counts)


class Experts(Part):
    """The feed-forward layers themselves: rows in the order of their experts, (R, D) -> (R, D)."""

    def __init__(
        self,
        width: int,
        hidden: int,
        experts: int,
        activation: str = "silu",
        gated: bool = False,
        limit: float | None = None,
        alpha: float | None = None,
        bias: bool = False,
        down_bias: bool = False,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.gated = gated
        self.limit = limit
        self.alpha = alpha
        self.biased = bias
        self.down_biased = down_bias
        if gated:
            self.up = nn.Parameter(torch.zeros(experts, 2 * hidden, width))
        else:
            self.up = nn.Parameter(torch.zeros(experts, hidden, width))
        if bias and gated:
            self.up_bias = nn.Parameter(torch.zeros(experts, 2 * hidden))
        elif bias:
            self.up_bias = nn.Parameter(torch.zeros(experts, hidden))
        self.down = nn.Parameter(torch.zeros(experts, width, hidden))
        if down_bias:
            self.down_bias = nn.Parameter(torch.zeros(experts, width))

    def forward(self, rows_RD: Tensor, expert_R: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or rows_RD.is_meta:
            y_RD = self.run_blocks(rows_RD, expert_R)
        else:
            y_RD = self.run_experts(rows_RD, expert_R)
        return y_RD

    def run_experts(self, rows_RD: Tensor, expert_R: Tensor) -> Tensor:
        """Give each expert the rows that chose it."""
        counts = expert_R.bincount(minlength=self.up.size(0)).tolist()
        h_RF = grouped_product(rows_RD, self.up, counts)
        if self.biased:
            h_RF = h_RF + self.up_bias[expert_R]
        y_RD = grouped_product(self.activate(h_RF), self.down, counts)
        if self.down_biased:
            y_RD = y_RD + self.down_bias[expert_R]
        return y_RD

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
        h_QNF = padded_PD.view(blocks, block, -1) @ self.up[owner_Q].mT
        if self.biased:
            h_QNF = h_QNF + self.up_bias[owner_Q].unsqueeze(1)
        y_QND = self.activate(h_QNF) @ self.down[owner_Q].mT
        if self.down_biased:
            y_QND = y_QND + self.down_bias[owner_Q].unsqueeze(1)
        return y_QND.flatten(0, 1)[place_R]

    def activate(self, h_RF: Tensor) -> Tensor:
        """Put the hidden units, or their gate, through the activation."""
        if self.gated:
            gate_RF, h_RF = h_RF.chunk(2, dim=-1)
            if self.activation == "clamped_swiglu":
                h_RF = clamped_swiglu(gate_RF, h_RF, self.alpha, self.limit)
            else:
                if self.limit is not None:
                    gate_RF = gate_RF.clamp(max=self.limit)
                    h_RF = h_RF.clamp(-self.limit, self.limit)
                h_RF = ACTIVATIONS[self.activation](gate_RF) * h_RF
        else:
            h_RF = ACTIVATIONS[self.activation](h_RF)
        return h_RF


class MixtureOfExperts(nn.Module):
    """Feed-forward layers, of which a router picks a few a position: x_BTD -> x_BTD.

    Source: Shazeer et al. 2017; Fedus et al. 2021; DeepSeek-AI 2024.
    """

    def __init__(
        self,
        width: int,
        run: Experts,
        route: Routing,
        top_k: int = 2,
        weigh_input: bool = False,
        shared: nn.Module | None = None,
        shared_gate: bool = False,
        capacity: int = 0,
        capacity_factor: float = 0.0,
        whole_batch: bool = False,
    ) -> None:
        super().__init__()
        self.top_k = top_k
        self.weigh_input = weigh_input
        self.shared = shared
        self.gate_shared = shared_gate
        self.capacity = capacity
        self.capacity_factor = capacity_factor
        self.whole_batch = whole_batch
        self.route = route
        self.run = run
        if shared_gate:
            self.shared_gate = nn.Linear(width, 1, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_ND = x_BTD.flatten(0, -2)
        share_NK, expert_NK = self.route(x_ND)
        if self.capacity > 0 or self.capacity_factor > 0:
            share_NK = share_NK * self.fits(expert_NK, x_BTD)
        expert_R = expert_NK.flatten()
        # A row for each choice, in the order of the experts.
        order_R = expert_R.argsort(stable=True)
        rows_RD, expert_R = x_ND[order_R // self.top_k], expert_R[order_R]
        if self.weigh_input:
            rows_RD = rows_RD * share_NK.flatten()[order_R].unsqueeze(-1)
        y_RD = self.run(rows_RD, expert_R)
        y_RD = torch.empty_like(y_RD).index_copy(0, order_R, y_RD)
        y_NKD = y_RD.view(*expert_NK.shape, -1)
        if not self.weigh_input:
            y_NKD = share_NK.unsqueeze(-1) * y_NKD
        y_ND = y_NKD.sum(dim=1)
        if self.shared is not None and self.gate_shared:
            y_ND = y_ND + torch.sigmoid(self.shared_gate(x_ND)) * self.shared(x_ND)
        elif self.shared is not None:
            y_ND = y_ND + self.shared(x_ND)
        return y_ND.view_as(x_BTD)

    def fits(self, expert_NK: Tensor, x_BTD: Tensor) -> Tensor:
        """Return 1 where an expert still has room: first choices before second, earlier positions first."""
        expert_GTK = expert_NK.view(1 if self.whole_batch else x_BTD.size(0), -1, self.top_k)
        one_GKTE = F.one_hot(expert_GTK.transpose(1, 2), self.run.up.size(0))
        place_GKTE = one_GKTE.flatten(1, 2).cumsum(dim=1).view_as(one_GKTE)
        place_GKT = (place_GKTE * one_GKTE).sum(dim=-1)
        if self.capacity_factor > 0:
            rows = expert_GTK.size(1) * self.top_k
            fits_GKT = place_GKT <= math.ceil(self.capacity_factor * rows / self.run.up.size(0))
        else:
            fits_GKT = place_GKT <= self.capacity
        return fits_GKT.transpose(1, 2).reshape(expert_NK.shape).type_as(x_BTD)
