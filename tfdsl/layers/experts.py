"""experts: feed-forward layers of which a router picks a few for each position."""

# pyright: reportIncompatibleMethodOverride=false
# (torch gives the two methods of a function no arguments that anyone could mean)

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.activations import ACTIVATIONS, clamped_swiglu


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


class MixtureOfExperts(nn.Module):
    """Feed-forward layers, of which a router picks a few a position: x_BTD -> x_BTD.

    Source: Shazeer et al. 2017; Fedus et al. 2021; DeepSeek-AI 2024.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        experts: int,
        top_k: int = 2,
        activation: str = "silu",
        gated: bool = False,
        limit: float | None = None,
        alpha: float | None = None,
        bias: bool = False,
        down_bias: bool = False,
        scores: str = "softmax",
        router_bias: bool = False,
        margin: float = 0.0,
        renormalise: bool = True,
        scale: float | None = None,
        choice_bias: bool = False,
        bias_speed: float = 0.0,
        groups: int = 0,
        top_groups: int = 0,
        group_best: int = 0,
        weigh_input: bool = False,
        shared: nn.Module | None = None,
        shared_gate: bool = False,
        jitter: float = 0.0,
        balance_loss: float = 0.0,
        z_loss: float = 0.0,
        capacity: int = 0,
        capacity_factor: float = 0.0,
        whole_batch: bool = False,
    ) -> None:
        super().__init__()
        self.top_k = top_k
        self.activation = activation
        self.gated = gated
        self.limit = limit
        self.alpha = alpha
        self.biased = bias
        self.down_biased = down_bias
        self.scores = scores
        self.margin = margin
        self.renormalise = renormalise
        self.scale = scale
        self.corrected = choice_bias
        self.bias_speed = bias_speed
        self.groups = groups
        self.top_groups = top_groups
        self.group_best = group_best
        self.weigh_input = weigh_input
        self.shared = shared
        self.gate_shared = shared_gate
        self.jitter = jitter
        self.balance_loss = balance_loss
        self.z_loss = z_loss
        self.capacity = capacity
        self.capacity_factor = capacity_factor
        self.whole_batch = whole_batch
        self.router = nn.Linear(width, experts, bias=router_bias)
        if choice_bias:
            # Moved by no gradient: it evens out how often each expert is chosen (Wang et al. 2024).
            self.choice_bias = nn.Buffer(torch.zeros(experts))
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
        if shared_gate:
            self.shared_gate = nn.Linear(width, 1, bias=False)
        if balance_loss > 0 or z_loss > 0:
            self.aux_loss = torch.zeros(())

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_ND = x_BTD.flatten(0, -2)
        share_NK, expert_NK = self.choose(x_ND)
        if self.capacity > 0 or self.capacity_factor > 0:
            share_NK = share_NK * self.fits(expert_NK, x_BTD)
        expert_R = expert_NK.flatten()
        # A row for each choice, in the order of the experts.
        order_R = expert_R.argsort(stable=True)
        rows_RD = x_ND[order_R // self.top_k]
        if self.weigh_input:
            rows_RD = rows_RD * share_NK.flatten()[order_R].unsqueeze(-1)
        if torch.compiler.is_compiling() or x_BTD.is_meta:
            y_RD = self.run_blocks(rows_RD, expert_R[order_R])
        else:
            y_RD = self.run_experts(rows_RD, expert_R[order_R])
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

    def choose(self, x_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Return the share of each chosen expert, and which they are."""
        if self.jitter > 0 and self.training:
            x_ND = x_ND * torch.empty_like(x_ND).uniform_(1 - self.jitter, 1 + self.jitter)
        score_NE = self.router(x_ND)
        if self.scores == "softmax" and not self.corrected and self.groups == 0:
            score_NK, expert_NK = score_NE.topk(self.top_k, dim=-1)
            if self.renormalise:
                share_NK = score_NK.softmax(dim=-1)
            else:
                share_NK = (score_NK - score_NE.logsumexp(dim=-1, keepdim=True)).exp()
        elif self.scores == "sparsemixer":
            share_NK, expert_NK = self.pick_in_turn(score_NE)
        else:
            share_NK, expert_NK = self.pick(score_NE)
        if self.corrected and self.bias_speed > 0 and self.training:
            self.even_out(expert_NK)
        if (self.balance_loss > 0 or self.z_loss > 0) and self.training:
            self.aux_loss = self.losses(score_NE, expert_NK)
        if self.scale is not None:
            share_NK = share_NK * self.scale
        return share_NK, expert_NK

    def pick(self, score_NE: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same where experts are not chosen by their scores alone."""
        if self.scores == "softmax":
            share_NE = score_NE.softmax(dim=-1)
        elif self.scores == "sigmoid":
            share_NE = score_NE.sigmoid()
        else:
            share_NE = F.softplus(score_NE).sqrt()
        choice_NE = share_NE.detach()
        if self.corrected:
            choice_NE = choice_NE + self.choice_bias
        if self.groups > 0:
            choice_NE = self.within_groups(choice_NE)
        expert_NK = choice_NE.topk(self.top_k, dim=-1).indices
        share_NK = share_NE.gather(-1, expert_NK)
        if self.renormalise:
            share_NK = share_NK / (share_NK.sum(dim=-1, keepdim=True) + 1e-20)
        return share_NK, expert_NK

    def pick_in_turn(self, score_NE: Tensor) -> tuple[Tensor, Tensor]:
        """Return one expert after the other, each with its share among those whose scores come near its own."""
        left_NE, share_NK, expert_NK = score_NE, [], []
        for _ in range(self.top_k):
            best_N1, expert_N1 = left_NE.detach().max(dim=-1, keepdim=True)
            size_NE = torch.maximum(score_NE.detach().abs(), best_N1)
            far_NE = (best_N1 - score_NE.detach()) / size_NE > self.margin
            share_NE = left_NE.masked_fill(far_NE, -math.inf).softmax(dim=-1)
            share_NK.append(share_NE.gather(-1, expert_N1))
            expert_NK.append(expert_N1)
            left_NE = left_NE.scatter(-1, expert_N1, -math.inf)
        return torch.cat(share_NK, dim=-1), torch.cat(expert_NK, dim=-1)

    def within_groups(self, choice_NE: Tensor) -> Tensor:
        """Leave out the experts of all groups but the best, by the sum of a group's best scores."""
        choice_NGE = choice_NE.unflatten(-1, (self.groups, -1))
        best_NG = choice_NGE.topk(self.group_best, dim=-1).values.sum(dim=-1)
        lost_NG = torch.ones_like(best_NG, dtype=torch.bool)
        lost_NG = lost_NG.scatter(-1, best_NG.topk(self.top_groups, dim=-1).indices, False)
        return choice_NGE.masked_fill(lost_NG.unsqueeze(-1), -math.inf).flatten(-2)

    def even_out(self, expert_NK: Tensor) -> None:
        """Raise the bias of experts that were chosen less than others, lower that of the rest."""
        chosen_E = torch.zeros_like(self.choice_bias)
        one_R = torch.ones_like(expert_NK.flatten(), dtype=chosen_E.dtype)
        chosen_E = chosen_E.scatter_add(0, expert_NK.flatten(), one_R)
        self.choice_bias.add_((chosen_E.mean() - chosen_E).sign(), alpha=self.bias_speed)

    def losses(self, score_NE: Tensor, expert_NK: Tensor) -> Tensor:
        """Return what to add to the loss: experts chosen unevenly, and scores that are large."""
        loss = score_NE.new_zeros(())
        if self.balance_loss > 0:
            # Fedus et al. 2021, equation 4: how often each was chosen, times its mean share.
            chosen_E = torch.zeros_like(score_NE[0]).scatter_add(
                0, expert_NK.flatten(), torch.ones_like(expert_NK.flatten(), dtype=score_NE.dtype)
            )
            even = (chosen_E / score_NE.size(0) * score_NE.softmax(dim=-1).mean(dim=0)).sum()
            loss = loss + self.balance_loss * score_NE.size(1) * even
        if self.z_loss > 0:
            # Zoph et al. 2022, equation 5.
            loss = loss + self.z_loss * score_NE.logsumexp(dim=-1).square().mean()
        return loss

    def fits(self, expert_NK: Tensor, x_BTD: Tensor) -> Tensor:
        """Return 1 where an expert still has room: first choices before second, earlier positions first."""
        expert_GTK = expert_NK.view(1 if self.whole_batch else x_BTD.size(0), -1, self.top_k)
        one_GKTE = F.one_hot(expert_GTK.transpose(1, 2), self.up.size(0))
        place_GKTE = one_GKTE.flatten(1, 2).cumsum(dim=1).view_as(one_GKTE)
        place_GKT = (place_GKTE * one_GKTE).sum(dim=-1)
        if self.capacity_factor > 0:
            rows = expert_GTK.size(1) * self.top_k
            fits_GKT = place_GKT <= math.ceil(self.capacity_factor * rows / self.up.size(0))
        else:
            fits_GKT = place_GKT <= self.capacity
        return fits_GKT.transpose(1, 2).reshape(expert_NK.shape).type_as(x_BTD)

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
