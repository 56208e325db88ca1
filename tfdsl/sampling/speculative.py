"""speculative: guess some tokens ahead, read them at once, and keep those that the model itself would draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

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
    """What guesses ahead: a smaller model, or the text itself."""

    def begin(self, text: Sequence[int]) -> None:
        """Begin with this text."""
        ...

    def guess(self, text: Sequence[int], most: int) -> tuple[list[int], list[Tensor | None]]:
        """Return up to `most` guesses of what follows `text`, and the chances [V] by which each was drawn.

        The text begins as the last one did, up to the guesses. Chances are None where nothing was left to chance. How
        many guesses there are must not depend on how the last of them fell: that would change their chances.
        """
        ...


@dataclass(slots=True)
class Tally:
    """What guessing was worth: how often the model read, how much was guessed, and how much of that was right."""

    reads: int = 0
    tokens: int = 0
    guessed: int = 0
    right: int = 0

    def __str__(self) -> str:
        share = self.right / self.guessed if self.guessed else 0.0
        each = self.tokens / self.reads if self.reads else 0.0
        return f"{self.right:,} of {self.guessed:,} guesses right ({share:.0%}), {each:.2f} tokens a read"


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


class Smaller:
    """A smaller model as a draft: it writes ahead by its own chances, and goes back to what was right."""

    def __init__(self, opener: Opener, room: int, law: Law, dice: Dice) -> None:
        self._opener, self._room, self._law, self._dice = opener, room, law, dice

    def begin(self, text: Sequence[int]) -> None:
        """Read the text, or as much of its end as there is room for."""
        self._open(text, self._room)

    def guess(self, text: Sequence[int], most: int) -> tuple[list[int], list[Tensor | None]]:
        """Return up to `most` tokens with which the smaller model goes on, and their chances."""
        most = min(most, self._room)
        logits_V = self._catch_up(text, most)
        so_far, laws = list(text), list[Tensor | None]()
        while True:
            laws.append(law_V := self._law(so_far, logits_V))
            so_far.append(self._dice.pick(law_V))
            if len(laws) == most:
                return so_far[len(text) :], laws
            logits_V = self._read(so_far[-1:])

    def _open(self, text: Sequence[int], most: int) -> Tensor:
        self._start = max(0, len(text) - most)
        self._seen = list(text[self._start :])
        self._sure = len(self._seen)
        self._reader, logits_BV = self._opener([self._seen], self._room)
        return logits_BV[0]

    def _catch_up(self, text: Sequence[int], ahead: int) -> Tensor:
        """Read what is new in the text; return the logits [V] of what comes next."""
        new = text[self._start :]
        if len(new) + ahead - 1 > self._room:
            return self._open(text, max(1, min(self._room // 2, self._room - ahead + 1)))
        kept = self._sure
        while kept < min(len(self._seen), len(new) - 1) and self._seen[kept] == new[kept]:
            kept += 1
        if kept < len(self._seen):
            self._reader.back(len(self._seen) - kept)
            del self._seen[kept:]
        logits_V = self._read(new[kept:])
        self._sure = len(self._seen)
        return logits_V

    def _read(self, tokens: Sequence[int]) -> Tensor:
        self._seen.extend(tokens)
        return self._reader.read(torch.tensor([list(tokens)]))[0, -1]


def speculate(
    reader: Reader,
    logits_V: Tensor,
    prompt: Sequence[int],
    draft: Draft,
    law: Law,
    dice: Dice,
    *,
    ahead: int,
    length: int,
    tally: Tally,
) -> Iterator[tuple[int, Tensor]]:
    """Yield up to `length` tokens that follow the prompt, each with its logits [V]; fewer where the reader is full.

    The reader has read the prompt, and foretells `logits_V`. Each round reads the newest token and up to `ahead`
    guesses behind it, and writes those that hold and one more. The texts have the chances that they have without a
    draft, whatever `ahead` is and however good the guesses are: Leviathan et al., 2023, theorem 1.
    """
    text = list(prompt)
    text.append(dice.pick(law(text, logits_V)))
    tally.reads += 1
    tally.tokens += 1
    yield text[-1], logits_V
    draft.begin(prompt)
    end = len(prompt) + length
    while len(text) < end and reader.left != 0:
        most = min(ahead, end - len(text) - 1, ahead if reader.left is None else reader.left - 1)
        guesses, laws = draft.guess(text, most) if most > 0 else ([], [])
        logits_TV = reader.read(torch.tensor([[text[-1], *guesses]]), last=len(guesses) + 1)[0]
        new, first = _held(text, guesses, laws, logits_TV, law, dice), len(text)
        if len(new) <= len(guesses):
            reader.back(len(guesses) + 1 - len(new))
        tally.reads += 1
        tally.tokens += len(new)
        tally.guessed += len(guesses)
        tally.right += sum(one == other for one, other in zip(new, guesses, strict=False))
        text += new
        yield from zip(text[first:], logits_TV, strict=False)


def _held(
    text: Sequence[int], guesses: Sequence[int], laws: Sequence[Tensor | None], logits_TV: Tensor, law: Law, dice: Dice
) -> list[int]:
    """Return the guesses that hold and the token behind them."""
    so_far = list(text)
    for guess, guessed_V, logits_V in zip(guesses, laws, logits_TV, strict=False):
        so_far.append(settle(law(so_far, logits_V), guess, guessed_V, dice))
        if so_far[-1] != guess:
            return so_far[len(text) :]
    so_far.append(dice.pick(law(so_far, logits_TV[len(guesses)])))
    return so_far[len(text) :]
