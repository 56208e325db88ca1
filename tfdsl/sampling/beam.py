"""beam: keep the likeliest beginnings of a text side by side, and write the best of what they come to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tfdsl.sampling.generate import Drawn, Plan, Text, ending, groups, undrawable
from tfdsl.sampling.reader import Opener

Chain = Callable[[Sequence[Sequence[int]], int, Tensor], Tensor]
"""From texts so far, how many tokens of each were written, and logits [B, V] of the next, to such logits."""

Stopping = Literal["enough", "likely", "never"]


@dataclass(frozen=True, slots=True)
class Found:
    """A text that beam search came to: its tokens, the sum of their log-probabilities and its score.

    The token that `ended` it is counted in both, and is not among `tokens`; None where there was no room for more.
    """

    tokens: tuple[int, ...]
    logprob: float
    score: float
    ended: int | None


@dataclass(frozen=True, slots=True)
class Beams:
    """What is asked of a search: how many beginnings are kept, and which of their ends is the best.

    A text's score is its log-probability over its length (with the end token) to the power of `penalty`: 0 is the
    likeliest text, 1 the likeliest a token, above that longer ones. A search ends when `count` texts have ended and
    `stopping` says so: "enough" at once; "likely" when no beginning is better than the worst of them if it ended now;
    "never" when none can become better, however long it gets.
    """

    count: int
    penalty: float = 1.0
    stopping: Stopping = "likely"

    def score(self, logprob: float, length: int) -> float:
        """Return the score of a text of `length` tokens."""
        return logprob / length**self.penalty


class Search:
    """The search for what follows one prompt: its beginnings, likeliest first, and the best ends so far."""

    def __init__(self, beams: Beams, length: int, ends: Collection[int]) -> None:
        self.beams, self.length, self.ends = beams, length, frozenset(ends)
        self.texts: list[list[int]] = [[]]
        self.sums_K = torch.zeros(1, dtype=torch.float64)
        self.found: list[Found] = []

    def step(self, logprobs_KV: Tensor) -> list[int]:
        """Go on with the likeliest tokens; return which beginning each new one goes on from, none when it is over.

        Of the best candidates, `count` for each way to go on or to end, the first `count` may end; so many go on.
        """
        vocab = logprobs_KV.size(1)
        sums = (self.sums_K[:, None] + logprobs_KV.double()).flatten()
        asked = min(max(2, 1 + len(self.ends)) * self.beams.count, len(sums))
        best = sums.topk(asked)
        goes_on: list[tuple[int, int, float]] = []
        size = len(self.texts[0]) + 1
        for rank, (total, place) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            row, token = divmod(place, vocab)
            if total == -torch.inf:
                break
            if token not in self.ends and size < self.length:
                goes_on.append((row, token, total))
            elif rank < self.beams.count:
                self._end([*self.texts[row], token], total)
        del goes_on[self.beams.count :]
        if not goes_on or self._over(goes_on[0][2], size):
            return []
        self.texts = [[*self.texts[row], token] for row, token, _ in goes_on]
        self.sums_K = torch.tensor([total for _, _, total in goes_on], dtype=torch.float64)
        return [row for row, _, _ in goes_on]

    def _end(self, text: list[int], total: float) -> None:
        ended = text[-1] if text[-1] in self.ends else None
        kept = tuple(text if ended is None else text[:-1])
        self.found.append(Found(kept, total, self.beams.score(total, len(text)), ended))
        self.found.sort(key=lambda each: -each.score)
        del self.found[self.beams.count :]

    def _over(self, total: float, size: int) -> bool:
        """Return whether nothing better is to come; `total` is the log-probability of the likeliest beginning."""
        if len(self.found) < self.beams.count:
            return False
        if self.beams.stopping == "enough":
            return True
        longest = self.beams.stopping == "never" and self.beams.penalty > 0
        return self.beams.score(total, self.length if longest else size) <= self.found[-1].score


def search(
    opener: Opener,
    prompts: Sequence[Sequence[int]],
    chain: Chain,
    beams: Beams,
    *,
    room: int,
    length: int,
    ends: Collection[int] = (),
) -> list[list[Found]]:
    """Return the texts of up to `length` tokens that beam search finds behind each prompt, the best ones first.

    The prompts are read once, and go on together; where there is less room, texts are shorter. `chain` changes the
    logits before they become probabilities, whose logarithms are summed in float64.
    """
    reader, logits_BV = opener(prompts, room)
    length = length if reader.left is None else min(length, reader.left + 1)
    searches = [Search(beams, length, ends) for _ in prompts]
    open_ = list(range(len(prompts)))
    while open_:
        so_far = [[*prompts[which], *text] for which in open_ for text in searches[which].texts]
        written = len(searches[open_[0]].texts[0])
        logprobs_BV = chain(so_far, written, logits_BV).double().log_softmax(-1)
        first, rows, going = 0, list[int](), list[int]()
        for which in open_:
            count = len(searches[which].texts)
            if origins := searches[which].step(logprobs_BV[first : first + count]):
                rows += [first + row for row in origins]
                going.append(which)
            first += count
        if going:
            if rows != list(range(first)):
                reader.pick(torch.tensor(rows))
            newest = [text[-1:] for which in going for text in searches[which].texts]
            logits_BV = reader.read(torch.tensor(newest))[:, -1]
        open_ = going
    return [search.found for search in searches]


@dataclass(frozen=True, slots=True)
class Searching:
    """A way to write: by beam search, of which the best `n` texts behind each prompt are written."""

    beams: Beams
    n: int = 1

    def __call__(self, open_: Opener, texts: Sequence[Text], plan: Plan) -> Iterator[Drawn]:
        """Yield the tokens of the texts, of which `n` in a row have the same prompt, one text behind the other."""
        for group in groups(texts[:: self.n], plan):
            room = max(len(text.tokens) for text in group) + plan.length - 1
            room = room if plan.context is None else min(plan.context, room)
            prompts, ends = [text.tokens[-room:] for text in group], plan.end | plan.stop
            with torch.inference_mode():
                found = search(open_, prompts, _chain(plan), self.beams, room=room, length=plan.length, ends=ends)
            for first, best in zip(group, found, strict=True):
                place = next(place for place, text in enumerate(texts) if text is first)
                for text, each in zip(texts[place : place + self.n], best, strict=False):
                    yield from _drawn(text, each, plan)


def _chain(plan: Plan) -> Chain:
    """Return the stages of a plan as what changes the logits of beginnings."""

    def apply(texts: Sequence[Sequence[int]], drawn: int, logits_BV: Tensor) -> Tensor:
        scores_BV = logits_BV
        if plan.stages:
            longest = max(map(len, texts))
            seen = plan.seen(torch.tensor([[-1] * (longest - len(text)) + list(text) for text in texts]), drawn)
            for stage in plan.stages:
                scores_BV = stage.apply(seen, scores_BV)
            highest_B = scores_BV.amax(-1)  # no number, where one of the row is none
            if not bool(highest_B.isfinite().all()):
                raise undrawable(plan, seen, logits_BV)
        return scores_BV

    return apply


def _drawn(text: Text, found: Found, plan: Plan) -> Iterator[Drawn]:
    """Yield the tokens of what was found behind a text, the one that ended it too."""
    tokens = found.tokens if found.ended is None else (*found.tokens, found.ended)
    for place, token in enumerate(tokens, 1):
        text.tokens.append(token)
        end = ending(text, token, plan)
        if end is None and place == len(tokens):
            end = "length" if place == plan.length else "context"
        yield Drawn(text.row, token, end, score=None if end is None else found.score)
        if end is not None:
            return
