"""routing: which experts each position goes to, and how much each counts."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfdsl.layers.part import Part


class Routing(Part):
    """The experts that a router picks for each position: x_ND -> share_NK, expert_NK.

    Source: Shazeer et al. 2017; Fedus et al. 2021; DeepSeek-AI 2024.
    """

    def __init__(
        self,
        width: int,
        experts: int,
        top_k: int = 2,
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
        jitter: float = 0.0,
        balance_loss: float = 0.0,
        z_loss: float = 0.0,
    ) -> None:
        super().__init__()
        self.top_k = top_k
        self.scores = scores
        self.margin = margin
        self.renormalise = renormalise
        self.scale = scale
        self.corrected = choice_bias
        self.bias_speed = bias_speed
        self.groups = groups
        self.top_groups = top_groups
        self.group_best = group_best
        self.jitter = jitter
        self.balance_loss = balance_loss
        self.z_loss = z_loss
        self.router = nn.Linear(width, experts, bias=router_bias)
        if choice_bias:
            # Moved by no gradient: it evens out how often each expert is chosen (Wang et al. 2024).
            self.choice_bias = nn.Buffer(torch.zeros(experts))
        if balance_loss > 0 or z_loss > 0:
            self.aux_loss = torch.zeros(())

    def forward(self, x_ND: Tensor) -> tuple[Tensor, Tensor]:
        return self.choose(x_ND)

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
