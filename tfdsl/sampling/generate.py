"""Generate tokens for several texts at once: each costs the model one position, and a text that ends is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from tfdsl.sampling.chain import Seen, Stage
from tfdsl.sampling.draw import Stream, Undrawable, draw, likeliest
from tfdsl.sampling.reader import Opener, Reader

End = Literal["end", "stop", "length", "context"]
"""Why a text ends: a token that ends texts, what the settings say to stop at, as long as asked, no position left."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How tokens are drawn: up to `length` for each text, behind the `stages`, the likeliest where it is `greedy`.

    `end` are the tokens that end a text, `stop` those that the settings stop it at. `context` is the most positions
    that are read (None: any number); when they are full, a text ends, or with `slide` the newer half of them is read
    once more. `logprobs` is how many of the likeliest tokens are told with each, None where no probabilities are
    wanted. `batch` is the most texts at once, and they may be `ragged`, of different lengths. Texts are `joined` to
    their prompts where they go on from them: stages see both then, and what is written alone where not.
    """

    length: int
    stages: tuple[Stage, ...] = ()
    greedy: bool = False
    end: frozenset[int] = frozenset()
    stop: frozenset[int] = frozenset()
    context: int | None = None
    slide: bool = False
    logprobs: int | None = None
    batch: int = 16
    ragged: bool = False
    joined: bool = True

    def seen(self, tokens_BT: Tensor, drawn: int) -> Seen:
        """Return what the stages see of prompts and texts [B, T], of which the last `drawn` tokens were drawn."""
        return Seen(tokens_BT if self.joined else tokens_BT[:, tokens_BT.size(1) - drawn :], drawn)


@dataclass(slots=True)
class Text:
    """A text that is being written: its tokens, `start` of which were given, and its own random numbers.

    `watch` is told each token, and returns whether the text stops behind it.
    """

    row: int
    tokens: list[int]
    stream: Stream
    watch: Callable[[int], bool] | None = None
    start: int = field(init=False)

    def __post_init__(self) -> None:
        self.start = len(self.tokens)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token of the text `row`; the last one of a text says why it is the `end`.

    `logprob` is the natural logarithm of its probability by the model alone, before any stage; `likeliest` are the
    likeliest tokens with theirs. The last one of a text that was searched for has its `score`.
    """

    row: int
    token: int
    end: End | None = None
    logprob: float | None = None
    likeliest: tuple[tuple[int, float], ...] = ()
    score: float | None = None


def generate(open_: Opener, texts: Sequence[Text], plan: Plan) -> Iterator[Drawn]:
    """Yield the tokens that follow each text, which must not be empty, as they are drawn.

    Texts that are read at once come by turns, a token each; the others one behind the other. Of a text that is longer
    than the context the newest tokens are read. What is drawn for a text depends on its own stream alone, to rounding.
    """
    if not all(text.tokens for text in texts):
        raise ValueError("generate needs at least one token to start from")
    for group in groups(texts, plan):
        yield from _Batch(open_, group, plan).run()


def groups(texts: Sequence[Text], plan: Plan) -> list[list[Text]]:
    """Return the texts in groups that are read at once.

    Texts of different lengths are together where the reader can have that, unless one of them fills the context: then
    each begins anew, or ends, at its own length.
    """
    longest = max((len(text.tokens) for text in texts), default=0)
    together = plan.ragged and (plan.context is None or longest + plan.length - 1 <= plan.context)
    found: list[list[Text]] = []
    unfilled: dict[int, list[Text]] = {}
    for text in texts:
        size = 0 if together else len(text.tokens)
        group = unfilled.get(size)
        if group is None or len(group) == plan.batch:
            group = unfilled[size] = []
            found.append(group)
        group.append(text)
    return found


class _Batch:
    """Texts that are read at once, each a row of the reader."""

    def __init__(self, open_: Opener, texts: list[Text], plan: Plan) -> None:
        self.open, self.texts, self.plan = open_, texts, plan
        self.longest = max(len(text.tokens) for text in texts)
        room = self.longest + plan.length - 1
        self.room = room if plan.context is None else min(plan.context, room)
        self.held_BT = self.hold() if any(stage.reads for stage in plan.stages) else None

    def run(self) -> Iterator[Drawn]:
        """Yield the tokens of all of them."""
        plan = self.plan
        reader, logits_BV = self.begin(self.room)
        for drawn in range(plan.length):
            tokens = self.choose(logits_BV, drawn)
            said = None if plan.logprobs is None else told(logits_BV, tokens, plan.logprobs)
            last: End | None = "length" if drawn + 1 == plan.length else None
            if last is None and reader.left == 0 and not plan.slide:
                last = "context"
            kept: list[int] = []
            for place, (text, token) in enumerate(zip(self.texts, tokens, strict=True)):
                text.tokens.append(token)
                end = ending(text, token, plan) or last
                if end is None:
                    kept.append(place)
                yield Drawn(text.row, token, end) if said is None else Drawn(text.row, token, end, *said[place])
            if not kept:
                return
            if self.held_BT is not None:
                self.held_BT[:, self.longest + drawn] = torch.tensor(tokens)
            if len(kept) < len(self.texts):
                tokens = [tokens[place] for place in kept]
                self.drop(kept, reader)
            if reader.left == 0:
                reader, logits_BV = self.begin(max(1, self.room // 2))
            else:
                logits_BV = reader.read(torch.tensor(tokens)[:, None])[:, -1]

    def begin(self, newest: int) -> tuple[Reader, Tensor]:
        """Read the newest tokens of all texts; those that begin alike are read once."""
        prompts = [tuple(text.tokens[-newest:]) for text in self.texts]
        different = list(dict.fromkeys(prompts))
        reader, logits_BV = self.open(different, self.room)
        if len(different) < len(prompts):
            places = {prompt: place for place, prompt in enumerate(different)}
            rows_N = torch.tensor([places[prompt] for prompt in prompts])
            reader.pick(rows_N)
            logits_BV = logits_BV[rows_N]
        return reader, logits_BV

    def choose(self, logits_BV: Tensor, drawn: int) -> list[int]:
        """Return the next token of each row."""
        scores_BV = logits_BV
        with torch.inference_mode():
            held_BT = self.held_BT
            seen = Seen(_NONE, drawn) if held_BT is None else self.plan.seen(held_BT[:, : self.longest + drawn], drawn)
            for stage in self.plan.stages:
                scores_BV = stage.apply(seen, scores_BV)
            try:
                if self.plan.greedy:
                    return likeliest(scores_BV)
                return draw(scores_BV, [text.stream.next() for text in self.texts])
            except Undrawable:
                raise undrawable(self.plan, seen, logits_BV) from None

    def hold(self) -> Tensor:
        """Return the tokens of all texts, [B, T], -1 before the shorter ones, with room for those to come."""
        held_BT = torch.full((len(self.texts), self.longest + self.plan.length), -1)
        for row, text in enumerate(self.texts):
            held_BT[row, self.longest - len(text.tokens) : self.longest] = torch.tensor(text.tokens)
        return held_BT

    def drop(self, kept: list[int], reader: Reader) -> None:
        """Go on with these rows alone."""
        rows_N = torch.tensor(kept)
        self.texts = [self.texts[place] for place in kept]
        reader.pick(rows_N)
        if self.held_BT is not None:
            self.held_BT = self.held_BT[rows_N]


_NONE = torch.empty(0, 0, dtype=torch.long)


def undrawable(plan: Plan, seen: Seen, logits_BV: Tensor) -> Undrawable:
    """Return why nothing can be drawn, given what the model said: by the first stage that leaves no more to draw."""
    if not bool(logits_BV.isfinite().any(-1).all()) or bool(logits_BV.isnan().any()):
        help_ = "the weights are damaged, or the training that made them diverged"
        return Undrawable("the model's scores are no numbers", help_)
    for stage in plan.stages:
        logits_BV = stage.apply(seen, logits_BV)
        if bool(logits_BV.isnan().any()) or bool((logits_BV == torch.inf).any()):
            what = "a score that is no number" if bool(logits_BV.isnan().any()) else "a score that is infinite"
            help_ = "biases, penalties and what functions of your own give are finite, or -inf for what is ruled out"
            return Undrawable(f"`{stage.name}` makes {what}", help_)
        if not bool((logits_BV > -torch.inf).any(-1).all()):
            help_ = "leave one of those that rule tokens out, or rule fewer out"
            return Undrawable(f"every token is ruled out, the last of them by `{stage.name}`", help_)
    return Undrawable("every token is ruled out", "the model itself gives none of them a chance")


def ending(text: Text, token: int, plan: Plan) -> End | None:
    """Return why a text ends with a token, if it does."""
    if token in plan.end:
        return "end"
    if token in plan.stop or (text.watch is not None and text.watch(token)):
        return "stop"
    return None


def told(logits_BV: Tensor, tokens: list[int], count: int) -> list[tuple[float, tuple[tuple[int, float], ...]]]:
    """Return the log-probability of each row's token, and its `count` likeliest tokens with theirs."""
    log_BV = logits_BV.log_softmax(-1)
    own: list[float] = log_BV.gather(1, torch.tensor(tokens)[:, None])[:, 0].tolist()
    best = log_BV.topk(min(count, log_BV.size(1)))
    rows = zip(own, best.indices.tolist(), best.values.tolist(), strict=True)
    return [(each, tuple(zip(likely, logs, strict=True))) for each, likely, logs in rows]
