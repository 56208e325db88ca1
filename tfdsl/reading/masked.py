"""masked: how likely a text is to a model of masked words, each of its tokens masked in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl.reading import fill
from tfdsl.reading.batches import batches
from tfdsl.reading.trained import Row, Trained
from tfdsl.training import binding
from tfdsl.training.figures import wide
from tfdsl.training.rows import Rows


@dataclass(frozen=True, slots=True)
class Hidden:
    """A token that is masked: the text, its place there, and the stretch of the text that is read around it."""

    text: int
    place: int
    first: int
    last: int


def room(marks: Rows) -> int:
    """Return how many tokens of a text are read at once, between its marks."""
    return marks.most - sum(each is not None for each in (marks.first, marks.separator))


def hidden(text: int, length: int, size: int, step: int) -> list[Hidden]:
    """Return each token of a text, masked in the first window of `size` that holds it; windows are `step` apart."""
    found: list[Hidden] = []
    first = 0
    while len(found) < length:
        last = min(first + size, length)
        found += [Hidden(text, place, first, last) for place in range(len(found), last)]
        first += step
    return found


def told(trained: Trained, bound: binding.Bound, rows: Sequence[Row], size: int, step: int) -> list[Tensor]:
    """Return the nats [T] of each token of each text, given all others of its window: in float64.

    Salazar et al., 2020, section 2.1: the sum is the text's pseudo-log-likelihood, with the sign turned.
    """
    marks, mask = fill.rows(trained, bound), trained.mark("mask")
    assert mask is not None, "it was asked for"
    before = int(marks.first is not None)
    found = [torch.zeros(len(row), dtype=torch.float64) for row in rows]
    each = [one for text, row in enumerate(rows) for one in hidden(text, len(row), size, step)]
    around = marks.most - room(marks)
    for batch in batches([one.last - one.first + around for one in each], fill.alike(bound)):
        some = [each[at] for at in batch]
        held = [marks.row(_without(rows[one.text], one, mask)) for one in some]
        places = [[before + one.place - one.first] for one in some]
        scores_NV, _ = fill.scores(trained, bound, marks.fill(held), places)
        wanted_N = torch.tensor([int(rows[one.text][one.place]) for one in some])
        nats_N = F.cross_entropy(wide(scores_NV), wanted_N, reduction="none").double()
        for one, nats in zip(some, nats_N.tolist(), strict=True):
            found[one.text][one.place] = nats
    return found


def _without(row: Row, one: Hidden, mask: int) -> Row:
    """Return what is read of a text, with the mask in a token's place."""
    read = row[one.first : one.last].copy()
    read[one.place - one.first] = mask
    return read
