"""The cross-entropy of targets under logits, with label smoothing and z-loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100  # a target that does not count


def summed(logits_NV: Tensor, targets_N: Tensor, smoothing: float = 0.0, z: float = 0.0) -> Tensor:
    """Return the cross-entropy in nats, summed over the targets that count, in float32 at the least.

    `smoothing` of each target is spread over all words (Szegedy et al., 2016). `z` times the squared logarithm of the
    softmax's divisor is added, which keeps it near 1 (PaLM: Chowdhery et al., 2022, section 5).
    """
    if logits_NV.dtype in (torch.bfloat16, torch.float16):
        logits_NV = logits_NV.float()
    loss = F.cross_entropy(logits_NV, targets_N, ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing)
    if z:
        divisor_N = logits_NV.logsumexp(1)
        loss = loss + z * divisor_N.square().masked_fill(targets_N == IGNORED, 0.0).sum()
    return loss
