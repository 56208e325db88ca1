"""softmax: attention where torch's fused function does not do, and what it is given so that it does."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attend(
    q_BHTK: Tensor,
    k_BGSK: Tensor,
    v_BGSV: Tensor,
    scale: float,
    dropout: float = 0.0,
    softcap: float | None = None,
    sinks: Tensor | None = None,
    zero: bool = False,
    before: nn.Module | None = None,
    after: nn.Module | None = None,
    padded: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Return softmax(q · k · scale + mask) · v: (B, H, T, V). A query that may read nothing gets zeros.

    `softcap` bounds the scores (Gemma Team 2024, section 2), `sinks` and `zero` are the scores of a key without a
    value, `before` and `after` mix the heads on either side of the softmax.
    """
    if softcap is None and before is None and after is None and sinks is not None:
        y_BHTV = beside_sink(q_BHTK, k_BGSK, v_BGSV, mask, scale, dropout, sinks)
    elif softcap is None and before is None and after is None and zero:
        y_BHTV = beside_zero(q_BHTK, k_BGSK, v_BGSV, mask, scale, dropout)
    else:
        mask = lowered(mask, q_BHTK.dtype) if mask is not None else None
        scores_BHTS = scored(q_BHTK, k_BGSK, mask, scale, softcap, before)
        if sinks is not None:
            sinks_BHT1 = sinks.view(-1, 1, 1).expand_as(scores_BHTS[..., :1])
            weights_BHTS = torch.cat((scores_BHTS, sinks_BHT1), dim=-1).softmax(dim=-1)[..., :-1]
        elif zero:
            weights_BHTS = F.pad(scores_BHTS, (0, 1)).softmax(dim=-1)[..., :-1]
        else:
            weights_BHTS = scores_BHTS.softmax(dim=-1)
        if after is not None:
            weights_BHTS = after(weights_BHTS)
        if dropout > 0:
            weights_BHTS = F.dropout(weights_BHTS, dropout)
        # The heads that share a value are further rows of one.
        B, H, T, S = weights_BHTS.shape
        y_BHTV = (weights_BHTS.reshape(B, v_BGSV.size(1), -1, S) @ v_BGSV).view(B, H, T, -1)
        if padded and mask is not None:
            y_BHTV = y_BHTV * (mask > torch.finfo(mask.dtype).min).any(dim=-1, keepdim=True)
    return y_BHTV


def scored(
    q_BHTK: Tensor,
    k_BGSK: Tensor,
    mask: Tensor | None,
    scale: float,
    softcap: float | None,
    before: nn.Module | None,
) -> Tensor:
    """Return the scores of each query and key, with the mask added: (B, H, T, S)."""
    B, H, T, K = q_BHTK.shape
    if softcap is not None and before is None:
        scale = scale / softcap
    # The heads that share a key are further queries of one.
    q_BGRK = (q_BHTK * scale).reshape(B, k_BGSK.size(1), -1, K)
    scores_BHTS = (q_BGRK @ k_BGSK.transpose(2, 3)).view(B, H, T, -1)
    if before is not None:
        scores_BHTS = before(scores_BHTS)
    if softcap is not None and before is not None:
        scores_BHTS = scores_BHTS / softcap
    if softcap is not None:
        scores_BHTS = torch.tanh(scores_BHTS) * softcap
    if mask is not None:
        scores_BHTS = scores_BHTS + mask
    return scores_BHTS


def beside_sink(
    q_BHTK: Tensor, k_BGSK: Tensor, v_BGSV: Tensor, mask: Tensor | None, scale: float, dropout: float, sinks: Tensor
) -> Tensor:
    """Return attention with one key more, whose score is a number for each head and whose value is 0 (gpt-oss).

    A feature more of queries and keys carries that number, so that torch's own attention does the rest.
    """
    B, H, T, K = q_BHTK.shape
    q_BHTK = torch.cat((q_BHTK, (sinks / scale).view(-1, 1, 1).expand(B, H, T, 1)), dim=-1)
    sink_K = F.pad(k_BGSK.new_ones(1), (K, 0))
    k_BGSK = torch.cat((F.pad(k_BGSK, (0, 1)), sink_K.expand(B, k_BGSK.size(1), 1, -1)), dim=2)
    if mask is not None:
        mask = F.pad(mask, (0, 1), value=mask.dtype == torch.bool)
    y_BHTV = F.scaled_dot_product_attention(
        q_BHTK, k_BGSK, F.pad(v_BGSV, (0, 1, 0, 1)), mask, dropout, scale=scale, enable_gqa=True
    )
    return y_BHTV[..., :-1]


def beside_zero(
    q_BHTK: Tensor, k_BGSK: Tensor, v_BGSV: Tensor, mask: Tensor | None, scale: float, dropout: float
) -> Tensor:
    """Return attention with a key and a value of zeros more: 1 more in the denominator of the softmax."""
    if mask is not None:
        mask = F.pad(mask, (0, 1), value=mask.dtype == torch.bool)
    k_BGSK, v_BGSV = F.pad(k_BGSK, (0, 0, 0, 1)), F.pad(v_BGSV, (0, 0, 0, 1))
    return F.scaled_dot_product_attention(q_BHTK, k_BGSK, v_BGSV, mask, dropout, scale=scale, enable_gqa=True)


def lowered(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what is added to scores where a mask says what may be read; finite, so that no row becomes 0 / 0."""
    least = torch.finfo(dtype).min
    if mask.dtype == torch.bool:
        return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, least)
    return mask.clamp(min=least)


def paired(q_BHTK: Tensor, k_BGSK: Tensor, v_BGSV: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what heads in pairs read: each head the values of both, side by side.

    Zeros make queries and keys as wide as that, since torch's fused attention wants one size.
    """
    v_BGSV = torch.cat(v_BGSV.chunk(2, dim=1), dim=-1).repeat(1, 2, 1, 1)
    more = max(v_BGSV.size(-1) - q_BHTK.size(-1), 0)
    return F.pad(q_BHTK, (0, more)), F.pad(k_BGSK, (0, more)), v_BGSV


class HeadMix(nn.Module):
    """A matrix that mixes the heads of scores or of weights: x_BHTS -> x_BHTS.

    Source: Shazeer et al. 2020, "Talking-heads attention".
    """

    def __init__(self, heads: int, bias: bool = False) -> None:
        super().__init__()
        self.shifts = bias
        self.weight = nn.Parameter(torch.eye(heads))
        if bias:
            self.bias = nn.Parameter(torch.zeros(heads))

    def forward(self, x_BHTS: Tensor) -> Tensor:
        mixed_BHTS = (self.weight @ x_BHTS.flatten(2)).view_as(x_BHTS)
        if self.shifts:
            mixed_BHTS = mixed_BHTS + self.bias.view(-1, 1, 1)
        return mixed_BHTS


class Differential(nn.Module):
    """What one half of the heads reads less what the other does: y_BHTV -> y_BPTV, where head p pairs with p + P.

    `norm` brings each difference to one size. Source: Ye et al. 2024, equations 1 to 3.
    """

    def __init__(self, size: int, init: float, norm: nn.Module) -> None:
        super().__init__()
        self.init = init
        self.norm = norm
        self.q_1 = nn.Parameter(torch.zeros(size))
        self.k_1 = nn.Parameter(torch.zeros(size))
        self.q_2 = nn.Parameter(torch.zeros(size))
        self.k_2 = nn.Parameter(torch.zeros(size))

    def forward(self, y_BHTV: Tensor) -> Tensor:
        share = torch.exp((self.q_1 * self.k_1).sum()) - torch.exp((self.q_2 * self.k_2).sum()) + self.init
        first_BPTV, second_BPTV = y_BHTV.chunk(2, dim=1)
        return self.norm(first_BPTV - share * second_BPTV) * (1 - self.init)
