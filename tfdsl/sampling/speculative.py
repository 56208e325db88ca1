"""speculative: guess some tokens ahead, read them at once, and keep those that the model itself would draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from tfdsl.sampling.chain import Seen
from tfdsl.sampling.draw import Stream, Undrawable, likeliest
from tfdsl.sampling.generate import Drawn, Plan, Text, ending, told, undrawable
from tfdsl.sampling.reader import Opener, Reader

Law = Callable[[Sequence[int], Tensor], Tensor]  # the tokens so far and logits [V] of the next, to its chances [V]


class Dice(Protocol):
    """What is left to chance."""

    def pick(self, weights_V: Tensor) -> int:
        """Return a token, each as often as its weight says."""
        ...

    def passes(self, chance: float) -> bool:
        """Return true as often as `chance` says."""
        ...


class Draft(Protocol):
    """What guesses ahead in one text: a smaller model, or the text itself."""

    def guess(self, text: Sequence[int], most: int) -> tuple[list[int], list[Tensor | None]]:
        """Return up to `most` guesses of what follows `text`, and the chances [V] by which each was drawn.

        The text begins as it did the last time, up to the guesses, and is longer. Chances are None where nothing was
        left to chance. How many guesses there are must not depend on how the last one fell: its chances would be
        others.
        """
        ...


class Drafting(Protocol):
    """Begin to guess in a text."""

    def __call__(self, room: int, vocab: int, law: Law, dice: Dice) -> Draft:
        """Return what guesses in a text that fills up to `room` positions with `vocab` tokens, and falls by `dice`."""
        ...


@dataclass(slots=True)
class Tally:
    """What guessing was worth: how often the model read, what that wrote, how much was guessed, and how much held."""

    reads: int = 0
    tokens: int = 0
    guessed: int = 0
    right: int = 0

    def add(self, guessed: int, right: int) -> None:
        """Add a read, which wrote the guesses that were right and one token more."""
        self.reads += 1
        self.tokens += right + 1
        self.guessed += guessed
        self.right += right

    def __str__(self) -> str:
        share = self.right / self.guessed if self.guessed else 0.0
        each = self.tokens / self.reads if self.reads else 0.0
        return f"{self.right:,} of {self.guessed:,} guesses right ({share:.0%}), {each:.2f} tokens a read"


@dataclass(frozen=True, slots=True)
class Guessing:
    """A way to write: up to `ahead` guesses a read, by what `drafting` begins for each text; `tally` counts them.

    Behind a wrong guess there are fewer, behind right ones more. A clock has no part in that: a seed writes one text.
    """

    drafting: Drafting
    ahead: int
    tally: Tally = field(default_factory=Tally)

    def __call__(self, open_: Opener, texts: Sequence[Text], plan: Plan) -> Iterator[Drawn]:
        """Yield the tokens that follow each text, one text behind the other.

        The texts have the chances that they have without guesses, whatever the guesses are (Leviathan et al., 2023,
        theorem 1). Texts are written one by one: each is as it is alone, and in a batch a read would go on as far as
        its worst row.
        """
        for text in texts:
            chances, dice = law(plan, text.start), Falls(text.stream)
            yield from Writing(open_, text, plan, chances, dice, self).run()


@dataclass(frozen=True, slots=True)
class Falls:
    """Dice that fall as a text's random numbers say."""

    stream: Stream

    def pick(self, weights_V: Tensor) -> int:
        """Return the token whose stretch of the cumulated weights holds the next number, as `draw` does."""
        edges_V = weights_V.cumsum(0)
        token = int(torch.searchsorted(edges_V, edges_V[-1] * self.stream.next(), right=True))
        if token == len(weights_V):
            raise Undrawable
        return token

    def passes(self, chance: float) -> bool:
        """Return whether the next number is below `chance`."""
        return self.stream.next() < chance


_NONE = torch.empty(0, 0, dtype=torch.long)


def law(plan: Plan, start: int) -> Law:
    """Return what a plan makes of logits, behind texts of which the first `start` tokens were given."""

    reads = any(stage.reads for stage in plan.stages)

    def chances(text: Sequence[int], logits_V: Tensor) -> Tensor:
        logits_1V = logits_V[None]
        drawn = len(text) - start
        seen = plan.seen(torch.tensor([list(text)]), drawn) if reads else Seen(_NONE, drawn)
        for stage in plan.stages:
            logits_1V = stage.apply(seen, logits_1V)
        if not plan.greedy:
            chances_V = logits_1V.double().softmax(-1)[0]
            if bool(chances_V[0].isnan()):  # one that is no number makes all of them so
                raise undrawable(plan, seen, logits_V[None])
            return chances_V
        sure_V = torch.zeros(len(logits_V), dtype=torch.float64)
        try:
            sure_V[likeliest(logits_1V)] = 1.0
        except Undrawable:
            raise undrawable(plan, seen, logits_V[None]) from None
        return sure_V

    return chances


def settle(law_V: Tensor, guess: int, guessed_V: Tensor | None, dice: Dice) -> int:
    """Return the guess, or a token in its place, so that the result has the chances `law_V`.

    Leviathan et al., 2023, and Chen et al., 2023: a guess drawn by chances q stays as often as min(1, p / q), and what
    takes its place is drawn by max(0, p - q). Where nothing was left to chance, that is the token that p draws.
    """
    if guessed_V is None:
        return dice.pick(law_V)
    wanted, had = float(law_V[guess]), float(guessed_V[guess])
    if wanted >= had or dice.passes(wanted / had):
        return guess
    rest_V = (law_V - guessed_V).clamp(min=0)
    # With p and q equal to rounding nothing may be left: either is right then.
    return dice.pick(rest_V) if float(rest_V.sum()) > 0 else guess


@dataclass(slots=True, eq=False)
class Writing:
    """One text, written with guesses."""

    open: Opener
    text: Text
    plan: Plan
    law: Law
    dice: Dice
    guessing: Guessing
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = self.guessing.ahead

    def run(self) -> Iterator[Drawn]:
        """Yield its tokens."""
        plan, tokens = self.plan, self.text.tokens
        room = len(tokens) + plan.length - 1
        room = room if plan.context is None else min(plan.context, room)
        stop = len(tokens) + plan.length
        reader, new = self._begin(tokens[-room:], room)
        draft = self.guessing.drafting(room, len(new[0][1]), self.law, self.dice)
        while True:
            for place, (token, logits_V) in enumerate(new, 1 - len(new)):
                tokens.append(token)
                full = place == 0 and reader.left == 0 and not plan.slide
                end = ending(self.text, token, plan) or (
                    "length" if len(tokens) == stop else "context" if full else None
                )
                said = (None, ()) if plan.logprobs is None else told(logits_V[None], [token], plan.logprobs)[0]
                yield Drawn(self.text.row, token, end, *said)
                if end is not None:
                    return
            if reader.left == 0:
                reader, new = self._begin(tokens[-max(1, room // 2) :], room)
            else:
                new = self._round(reader, draft, stop - len(tokens))

    def _begin(self, prompt: Sequence[int], room: int) -> tuple[Reader, list[tuple[int, Tensor]]]:
        """Read what there is; return the reader and the token behind it, with its logits [V]."""
        reader, logits_BV = self.open([prompt], room)
        self.guessing.tally.add(0, 0)
        with torch.inference_mode():
            return reader, [(self.dice.pick(self.law(self.text.tokens, logits_BV[0])), logits_BV[0])]

    def _round(self, reader: Reader, draft: Draft, wanted: int) -> list[tuple[int, Tensor]]:
        """Read the newest token and guesses behind it; return those that hold and one more, with logits [V] of each."""
        tokens = self.text.tokens
        most = min(self.size, wanted - 1)
        most = most if reader.left is None else min(most, reader.left - 1)
        with torch.inference_mode():
            reader.mark()
            guesses, laws = draft.guess(tokens, most) if most > 0 else ([], [])
            logits_TV = reader.read(torch.tensor([[tokens[-1], *guesses]]), last=len(guesses) + 1)[0]
            held = self._held(guesses, laws, logits_TV)
            right = len(held) - 1
            if right < len(guesses):
                reader.back(len(guesses) - right)
        if guesses:  # as many as held, and one more; twice as many where all did
            self.size = min(self.guessing.ahead, 2 * self.size if right == len(guesses) else right + 1)
        self.guessing.tally.add(len(guesses), right)
        return list(zip(held, logits_TV, strict=False))

    def _held(self, guesses: Sequence[int], laws: Sequence[Tensor | None], logits_TV: Tensor) -> list[int]:
        """Return the guesses that hold and the token behind them."""
        so_far, count = list(self.text.tokens), len(self.text.tokens)
        for guess, guessed_V, logits_V in zip(guesses, laws, logits_TV, strict=False):
            so_far.append(settle(self.law(so_far, logits_V), guess, guessed_V, self.dice))
            if so_far[-1] != guess:
                return so_far[count:]
        so_far.append(self.dice.pick(self.law(so_far, logits_TV[len(guesses)])))
        return so_far[count:]
