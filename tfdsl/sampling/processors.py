"""processors: functions of logits [B, V] that rule tokens out or change their chances, over the whole vocabulary.

Each is pure and leaves one token at least where one was left; of equal logits, the lower token comes first. Those that
read the text take its tokens [B, T], where -1 is no token. `chain` puts them into their order.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

SHORT = 256  # of the likeliest tokens, so many are looked at before all are sorted


def repetition(logits_BV: Tensor, tokens_BT: Tensor, penalty: float) -> Tensor:
    """Divide the positive logits of tokens in the text by `penalty`, and multiply the negative ones.

    Keskar et al., 2019, section 4.1. The last position of each row holds a token.
    """
    tokens_BT = torch.where(tokens_BT < 0, tokens_BT[:, -1:], tokens_BT)
    score_BT = logits_BV.gather(1, tokens_BT)
    return logits_BV.scatter(1, tokens_BT, torch.where(score_BT < 0, score_BT * penalty, score_BT / penalty))


def presence_and_frequency(logits_BV: Tensor, tokens_BT: Tensor, presence: float, frequency: float) -> Tensor:
    """Take `presence` from the logit of each token that was written, and `frequency` as often as it was."""
    held_BT = tokens_BT >= 0
    count_BV = torch.zeros_like(logits_BV).scatter_add_(1, tokens_BT.clamp(min=0), held_BT.to(logits_BV.dtype))
    return logits_BV - presence * (count_BV > 0) - frequency * count_BV


def forbid_runs(logits_BV: Tensor, tokens_BT: Tensor, runs: tuple[tuple[int, ...], ...]) -> Tensor:
    """Rule out the last token of each run of several where the text ends with those before it."""
    ruled_BV = torch.zeros_like(logits_BV, dtype=torch.bool)
    for run in runs:
        before = torch.tensor(run[:-1], device=tokens_BT.device)
        if tokens_BT.size(1) >= len(before):
            ruled_BV[:, run[-1]] |= (tokens_BT[:, -len(before) :] == before).all(1)
    return logits_BV.masked_fill(ruled_BV, -torch.inf)


def forbid_repeats(logits_BV: Tensor, tokens_BT: Tensor, size: int) -> Tensor:
    """Rule out each token that would repeat `size` tokens in a row of the text (Paulus et al., 2017, section 2.5)."""
    if tokens_BT.size(1) < size:
        return logits_BV
    runs_BNL = tokens_BT.unfold(1, size, 1)
    last_B1L = tokens_BT[:, None, tokens_BT.size(1) - size + 1 :]
    again_BN = (runs_BNL[..., :-1] == last_B1L).all(-1) & (runs_BNL >= 0).all(-1)
    ruled_BV = torch.zeros_like(logits_BV).scatter_add_(1, runs_BNL[..., -1].clamp(min=0), again_BN.to(logits_BV.dtype))
    return logits_BV.masked_fill(ruled_BV > 0, -torch.inf)


def force(logits_BV: Tensor, token: int) -> Tensor:
    """Rule out all tokens but one."""
    only_BV = torch.full_like(logits_BV, -torch.inf)
    only_BV[:, token] = 0
    return only_BV


def temper(logits_BV: Tensor, temperature: float) -> Tensor:
    """Divide the logits by the temperature, the highest of a row moved to 0 first so that none overflows."""
    return (logits_BV - logits_BV.amax(-1, keepdim=True)) / temperature


def top_n_sigma(logits_BV: Tensor, n: float) -> Tensor:
    """Leave the logits that are within `n` standard deviations of the highest (Tang et al., 2024).

    The deviation is that of all logits that are not ruled out, in float64.
    """
    wide_BV = logits_BV.double()
    held_BV = wide_BV > -torch.inf
    count_B1 = held_BV.sum(-1, keepdim=True)
    mean_B1 = wide_BV.masked_fill(~held_BV, 0).sum(-1, keepdim=True) / count_B1
    spread_BV = (wide_BV - mean_B1).masked_fill(~held_BV, 0)
    sigma_B1 = (spread_BV.square().sum(-1, keepdim=True) / count_B1).sqrt()
    return logits_BV.masked_fill(wide_BV < wide_BV.amax(-1, keepdim=True) - n * sigma_B1, -torch.inf)


def top_k(logits_BV: Tensor, k: int) -> Tensor:
    """Leave the k highest logits (Fan et al., 2018)."""
    if k >= logits_BV.size(-1):
        return logits_BV
    least_B1 = logits_BV.topk(k).values[..., -1:]
    dropped_BV = logits_BV < least_B1
    if dropped_BV.numel() - int(dropped_BV.sum()) > k * len(least_B1):  # several are as high as the last of them
        dropped_BV = ~_first(logits_BV, least_B1, k)
    return logits_BV.masked_fill(dropped_BV, -torch.inf)


def top_p(logits_BV: Tensor, p: float) -> Tensor:
    """Leave the fewest tokens, likeliest first, whose probabilities reach `p`, one at least (Holtzman et al., 2020).

    Probabilities are summed in float64.
    """
    highest_B1 = logits_BV.amax(-1, keepdim=True).double()  # taken away first: the sum of huge ones would round
    total_B1 = (logits_BV - highest_B1).logsumexp(-1, keepdim=True)
    for short in (True, False):
        ranked_BK = logits_BV.topk(SHORT).values if short and logits_BV.size(-1) > SHORT else _ranked(logits_BV)
        reached_BK = (ranked_BK - highest_B1).sub_(total_B1).exp_().cumsum_(-1)
        if bool((reached_BK[..., -1] >= p).all()):
            break
    # Those before which less than `p` is reached, the first among them.
    count_B1 = 1 + (reached_BK[..., :-1] < p).sum(-1, keepdim=True)
    least_B1 = ranked_BK.gather(-1, count_B1 - 1)
    return logits_BV.masked_fill(~_first(logits_BV, least_B1, count_B1), -torch.inf)


def min_p(logits_BV: Tensor, p: float) -> Tensor:
    """Leave the tokens that are at least `p` times as likely as the likeliest (Nguyen et al., 2024)."""
    least = math.log(p) if p else -math.inf
    return logits_BV.masked_fill(logits_BV - logits_BV.amax(-1, keepdim=True) < least, -torch.inf)


def typical(logits_BV: Tensor, p: float) -> Tensor:
    """Leave the fewest tokens whose probabilities reach `p`, first those whose surprise is nearest to its mean.

    Meister et al., 2023: the mean of the surprise is the distribution's entropy. One token stays at least. In float64.
    """
    log_BV = logits_BV.double().log_softmax(-1)
    chance_BV = log_BV.exp()
    entropy_B1 = -(chance_BV * log_BV.masked_fill(log_BV == -torch.inf, 0)).sum(-1, keepdim=True)
    order_BV = (log_BV + entropy_B1).abs().sort(dim=-1, stable=True).indices
    ranked_BV = chance_BV.gather(-1, order_BV)
    before_BV = ranked_BV.cumsum(-1) - ranked_BV
    dropped_BV = torch.zeros_like(logits_BV, dtype=torch.bool).scatter(-1, order_BV, before_BV >= p)
    return logits_BV.masked_fill(dropped_BV, -torch.inf)


def epsilon(logits_BV: Tensor, least: float) -> Tensor:
    """Leave the tokens whose probability is `least` or more, and the likeliest (Hewitt et al., 2022, section 4.1)."""
    return _at_least(logits_BV, logits_BV.double().log_softmax(-1), math.log(least))


def eta(logits_BV: Tensor, least: float) -> Tensor:
    """Leave the tokens whose probability is `least`, or √least · e^-entropy where that is less, and the likeliest.

    Hewitt et al., 2022, equation 4, with their α = √ε.
    """
    log_BV = logits_BV.double().log_softmax(-1)
    entropy_B1 = -(log_BV.exp() * log_BV.masked_fill(log_BV == -torch.inf, 0)).sum(-1, keepdim=True)
    return _at_least(logits_BV, log_BV, (0.5 * math.log(least) - entropy_B1).clamp(max=math.log(least)))


def _at_least(logits_BV: Tensor, log_BV: Tensor, least: Tensor | float) -> Tensor:
    """Leave what has a log-probability of `least`, and the highest."""
    dropped_BV = (log_BV < least) & (logits_BV < logits_BV.amax(-1, keepdim=True))
    return logits_BV.masked_fill(dropped_BV, -torch.inf)


def _ranked(logits_BV: Tensor) -> Tensor:
    """Return the logits of each row, highest first: NumPy sorts 50,000 numbers 35 times as fast as torch."""
    if logits_BV.device.type != "cpu" or logits_BV.dtype not in (torch.float32, torch.float64):
        return logits_BV.sort(descending=True).values
    return torch.from_numpy(np.sort(logits_BV.numpy())).flip(-1)


def _first(logits_BV: Tensor, least_B1: Tensor, count: Tensor | int) -> Tensor:
    """Return which are the `count` highest of a row, of which the last is as high as `least_B1`."""
    above_BV = logits_BV > least_B1
    level_BV = logits_BV == least_B1
    return above_BV | (level_BV & (level_BV.cumsum(-1) <= count - above_BV.sum(-1, keepdim=True)))
