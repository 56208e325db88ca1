"""What answers are worth: accuracy and F1 of classes, exact match and F1 of stretches, recall of what is looked for."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

ARTICLES = re.compile(r"\b(a|an|the)\b")
RECALLS = (1, 5, 10)


def classes(hits: Tensor, said: Tensor, true: Tensor) -> Mapping[str, float]:
    """Return the accuracy, and F1 as the plain mean over the classes that occur or that were said.

    `hits`, `said` and `true` [K] count, for each class, right answers, answers and truths.
    """
    occurs = said + true > 0
    each = 2 * hits[occurs] / (said + true)[occurs]
    return {"accuracy": (hits.sum() / true.sum()).item(), "F1": each.mean().item()}


def ranks(scores_QC: Tensor, right_QC: Tensor) -> Tensor:
    """Return the place of the first right candidate for each query, from 1; of equal scores the wrong goes first."""
    best_Q1 = scores_QC.masked_fill(~right_QC, -torch.inf).amax(1, keepdim=True)
    return 1 + ((scores_QC >= best_Q1) & ~right_QC).sum(1)


def retrieval(ranks_Q: Tensor) -> Tensor:
    """Return the sums, over queries, of what `found` reads: whether each was among the first, and its reciprocal."""
    among = [(ranks_Q <= most).sum() for most in RECALLS]
    return torch.stack([*among, (1 / ranks_Q.double()).sum()]).double()


def found(sums: Tensor, count: int) -> Mapping[str, float]:
    """Return recall at 1, 5 and 10 and the mean reciprocal rank of `count` queries."""
    names = [*(f"recall at {most}" for most in RECALLS), "mean reciprocal rank"]
    return dict(zip(names, (sums / count).tolist(), strict=True))


def plain(answer: str) -> str:
    """Return an answer in small letters, without punctuation, articles and spare blanks (Rajpurkar et al., 2016)."""
    bare = "".join(letter for letter in answer.lower() if letter not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", bare).split())


def exact(answer: str, truth: str) -> float:
    """Return 1 where two answers are the same but for what `plain` takes away, else 0."""
    return float(plain(answer) == plain(truth))


def overlap(answer: str, truth: str) -> float:
    """Return the F1 of an answer's words: the harmonic mean of how many are right, and how many were found."""
    said, true = plain(answer).split(), plain(truth).split()
    if not said or not true:
        return float(said == true)
    common = sum((Counter(said) & Counter(true)).values())
    return 2 * common / (len(said) + len(true))
