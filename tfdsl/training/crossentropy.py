"""Cross-entropy of a head's scores, made from the hidden states in chunks: the scores are never held all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from tfdsl.heads import Unscored

CHUNK = 1 << 24  # scores at a time: fewer cost time, for each chunk reads and writes the gradient of the whole matrix
IGNORED = -100  # a target that does not count


@dataclass(frozen=True, slots=True)
class Rule:
    """What a target's loss is made of: the share of it that is spread over all words, and the weight of z²."""

    smoothing: float = 0.0
    z_loss: float = 0.0


def summed(given: Tensor | Unscored, targets: Tensor, smoothing: float = 0.0, z_loss: float = 0.0) -> Tensor:
    """Return the cross-entropy in nats of `targets` [...], summed over those that are not IGNORED.

    `given` are scores [..., V], or the hidden states that lead to them: what is returned is the same. Scores are made
    for the targets that count alone, and where they are many, in chunks. `smoothing` is the share of a target that is
    spread over all V words (Szegedy et al., 2016, section 7), `z_loss` weighs the square of the scores' log-sum-exp,
    which is added (Chowdhery et al., 2022, section 5).
    """
    x = given.x if isinstance(given, Unscored) else given
    x_ND, target_N = x.flatten(0, -2), targets.flatten()
    keep_N = target_N != IGNORED
    if not keep_N.all():
        x_ND, target_N = x_ND[keep_N], target_N[keep_N]
    if isinstance(given, Unscored):
        if len(x_ND) * len(given.weight_VD) > CHUNK:
            args = (x_ND, given.weight_VD, given.bias_V, target_N, Rule(smoothing, z_loss), torch.is_grad_enabled())
            return _Chunked.apply(*args)  # type: ignore[no-any-return]
        x_ND = F.linear(x_ND, given.weight_VD, given.bias_V)
    score_NV = x_ND.to(_wide(x_ND.dtype))
    loss = F.cross_entropy(score_NV, target_N, reduction="sum", label_smoothing=smoothing)
    return loss + z_loss * score_NV.logsumexp(-1).square().sum() if z_loss else loss


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


class _Chunked(Function):
    """The loss, and on the way its gradient: each chunk of scores becomes what it teaches, and is forgotten."""

    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, target_N: Tensor, rule: Rule, learns: bool
    ) -> Tensor:
        kind, wide = x_ND.device.type, _wide(weight_VD.dtype)
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight_VD.dtype
        loss = torch.zeros((), dtype=wide, device=x_ND.device)
        weight = weight_VD.to(low)
        wants = [learns and need for need in ctx.needs_input_grad[:3]]
        dx_ND = torch.empty_like(x_ND) if wants[0] else None
        dweight_VD: Tensor | None = None
        dbias_V = torch.zeros_like(bias_V, dtype=wide) if bias_V is not None and wants[2] else None
        rows = max(1, CHUNK // len(weight))
        with torch.autocast(kind, enabled=False):
            for start in range(0, len(x_ND), rows):
                x_CD = x_ND[start : start + rows].to(low)
                score_CV = x_CD @ weight.t() if bias_V is None else torch.addmm(bias_V.to(low), x_CD, weight.t())
                taught_CV = _taught(score_CV, target_N[start : start + rows], rule, loss, learns).to(low)
                if dx_ND is not None:
                    dx_ND[start : start + rows] = taught_CV @ weight
                if wants[1]:
                    dweight_VD = _added(dweight_VD, taught_CV.t(), x_CD, wide)
                if dbias_V is not None:
                    dbias_V += taught_CV.sum(0, dtype=wide)
        ctx.save_for_backward(dx_ND, dweight_VD, dbias_V)
        return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        # In place, for a matrix of the vocabulary's size: a second pass backward is then refused by torch.
        made = [None if each is None else each.mul_(outer[0]) for each in ctx.saved_tensors]
        return (*made, None, None, None)


def _added(sum_VD: Tensor | None, taught_VC: Tensor, x_CD: Tensor, wide: torch.dtype) -> Tensor:
    """Return the sum with one more product, in place where there is one."""
    if sum_VD is None:
        return (taught_VC @ x_CD).to(wide)
    return sum_VD.addmm_(taught_VC, x_CD) if x_CD.dtype == wide else sum_VD.add_(taught_VC @ x_CD)


def _taught(score_CV: Tensor, target_C: Tensor, rule: Rule, loss: Tensor, learns: bool) -> Tensor:
    """Add what the scores cost to `loss`; return their gradient, in place of their logarithms, where they learn."""
    log_CV = F.log_softmax(score_CV, -1, dtype=loss.dtype)
    target_C1 = target_C[:, None]
    own_C1 = log_CV.gather(1, target_C1)
    share = rule.smoothing / score_CV.size(1)
    loss -= (1 - rule.smoothing) * own_C1.sum()
    if rule.smoothing:
        loss -= share * log_CV.sum()
    z_C1 = score_CV.gather(1, target_C1).to(loss.dtype) - own_C1 if rule.z_loss else own_C1
    if rule.z_loss:
        loss += rule.z_loss * z_C1.square().sum()
    if not learns:
        return log_CV
    taught_CV = log_CV.exp_()
    if rule.z_loss:
        taught_CV *= 1 + 2 * rule.z_loss * z_C1
    if rule.smoothing:
        taught_CV -= share
    return taught_CV.scatter_add_(1, target_C1, torch.full_like(own_C1, rule.smoothing - 1))
