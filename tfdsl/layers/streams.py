"""streams: several residual streams in place of one, and how a branch reads from them and writes to them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class HyperConnection(nn.Module):
    """Reads a branch's input from n streams, and mixes them: h_BTND -> y_BTD, kept h_BTND, the branch's share of each.

    Source: Zhu et al. 2024, equations 3 to 13.
    """

    def __init__(self, width: int, streams: int, dynamic: bool = False, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.dynamic = dynamic
        self.norm = norm
        # The first column makes the branch's input, the others the streams that stay.
        self.alpha = nn.Parameter(torch.zeros(streams, streams + 1))
        self.beta = nn.Parameter(torch.ones(streams))
        if dynamic:
            self.to_alpha = nn.Linear(width, streams + 1, bias=False)
            self.to_beta = nn.Linear(width, 1, bias=False)
            self.alpha_scale = nn.Parameter(torch.full((1,), 0.01))
            self.beta_scale = nn.Parameter(torch.full((1,), 0.01))

    def forward(self, h_BTND: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        alpha, beta = self.alpha, self.beta
        if self.dynamic and self.norm is not None:
            normed_BTND = self.norm(h_BTND)
            alpha = alpha + self.alpha_scale * torch.tanh(self.to_alpha(normed_BTND))
            beta = beta + self.beta_scale * torch.tanh(self.to_beta(normed_BTND)).squeeze(-1)
        mixed_BTMD = alpha.mT @ h_BTND
        return mixed_BTMD[..., 0, :], mixed_BTMD[..., 1:, :], beta


class ManifoldConnection(nn.Module):
    """The same, where the streams that stay are mixed by a matrix whose rows and columns add up to one.

    Source: Xie et al. 2025; DeepSeek-AI 2026.
    """

    def __init__(self, width: int, streams: int, eps: float, norm_eps: float, rounds: int) -> None:
        super().__init__()
        self.streams = streams
        self.eps = eps
        self.norm_eps = norm_eps
        self.rounds = rounds
        self.to_mix = nn.Linear(streams * width, streams * (2 + streams))
        self.scale = nn.Parameter(torch.full((3,), 0.01))

    def forward(self, h_BTND: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        flat_BTC = h_BTND.flatten(-2)
        flat_BTC = F.rms_norm(flat_BTC, flat_BTC.shape[-1:], None, self.norm_eps)
        sizes = (self.streams, self.streams, self.streams**2)
        take_BTN, give_BTN, keep_BTM = F.linear(flat_BTC, self.to_mix.weight).split(sizes, dim=-1)
        take_N, give_N, keep_M = self.to_mix.bias.split(sizes)
        take_BTN = torch.sigmoid(self.scale[0] * take_BTN + take_N) + self.eps
        give_BTN = 2 * torch.sigmoid(self.scale[1] * give_BTN + give_N)
        keep_BTNN = (self.scale[2] * keep_BTM + keep_M).unflatten(-1, (self.streams, -1))
        keep_BTNN = keep_BTNN.softmax(dim=-1) + self.eps
        # Sinkhorn's rounds: columns, then rows and columns in turn.
        keep_BTNN = keep_BTNN / (keep_BTNN.sum(dim=-2, keepdim=True) + self.eps)
        for _ in range(self.rounds - 1):
            keep_BTNN = keep_BTNN / (keep_BTNN.sum(dim=-1, keepdim=True) + self.eps)
            keep_BTNN = keep_BTNN / (keep_BTNN.sum(dim=-2, keepdim=True) + self.eps)
        y_BTD = (take_BTN.unsqueeze(-1) * h_BTND).sum(dim=-2)
        return y_BTD, keep_BTNN.mT @ h_BTND, give_BTN


class StreamHead(nn.Module):
    """One stream of n, each weighted by a number that depends on all of them: h_BTND -> x_BTD (DeepSeek-V4)."""

    def __init__(self, width: int, streams: int, eps: float, norm_eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.norm_eps = norm_eps
        self.to_share = nn.Linear(streams * width, streams)
        self.scale = nn.Parameter(torch.full((1,), 0.01))

    def forward(self, h_BTND: Tensor) -> Tensor:
        flat_BTC = h_BTND.flatten(-2)
        flat_BTC = F.rms_norm(flat_BTC, flat_BTC.shape[-1:], None, self.norm_eps)
        share_BTN = F.linear(flat_BTC, self.to_share.weight) * self.scale + self.to_share.bias
        share_BTN = torch.sigmoid(share_BTN) + self.eps
        return (share_BTN.unsqueeze(-1) * h_BTND).sum(dim=-2)
