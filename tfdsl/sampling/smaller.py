"""smaller: guess what comes next with a smaller model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tfdsl.sampling.reader import Opener, Reader
from tfdsl.sampling.speculative import Dice, Law


class Smaller:
    """A smaller model as a draft: it writes ahead by its own chances, and goes back to what was right.

    It has room for `room` positions; when they are full, it reads the newer half of them once more. Its logits are cut
    or filled up to `vocab` tokens, those that the larger model knows.
    """

    def __init__(self, opener: Opener, room: int, vocab: int, law: Law, dice: Dice) -> None:
        self._opener, self._room, self._vocab, self._law, self._dice = opener, room, vocab, law, dice
        self._reader: Reader | None = None
        self._seen: list[int] = []  # what it has read: the text from `_start` on, and guesses
        self._start = self._sure = 0

    def guess(self, text: Sequence[int], most: int) -> tuple[list[int], list[Tensor | None]]:
        """Return up to `most` tokens with which the smaller model goes on, and their chances [V]."""
        most = min(most, self._room)
        logits_V = self._catch_up(text, most)
        so_far, laws = list(text), list[Tensor | None]()
        while True:
            laws.append(law_V := self._law(so_far, logits_V))
            so_far.append(self._dice.pick(law_V))
            if len(laws) == most:
                return so_far[len(text) :], laws
            logits_V = self._read(so_far[-1:])

    def _catch_up(self, text: Sequence[int], ahead: int) -> Tensor:
        """Read what is new in the text; return the logits [V] of what comes next."""
        new = text[self._start :]
        if self._reader is None or len(new) + ahead - 1 > self._room:
            fits = len(new) + ahead - 1 <= self._room
            return self._open(text, len(new) if fits else max(1, min(self._room // 2, self._room - ahead + 1)))
        kept = self._sure
        while kept < min(len(self._seen), len(new) - 1) and self._seen[kept] == new[kept]:
            kept += 1
        if kept < len(self._seen):
            self._reader.back(len(self._seen) - kept)
            del self._seen[kept:]
        logits_V = self._read(new[kept:])
        self._reader.mark()
        self._sure = len(self._seen)
        return logits_V

    def _open(self, text: Sequence[int], newest: int) -> Tensor:
        self._start = len(text) - newest
        self._seen, self._sure = list(text[self._start :]), newest
        self._reader, logits_BV = self._opener([self._seen], self._room)
        self._reader.mark()
        return self._fit(logits_BV[0])

    def _read(self, tokens: Sequence[int]) -> Tensor:
        assert self._reader is not None
        self._seen.extend(tokens)
        return self._fit(self._reader.read(torch.tensor([list(tokens)]))[0, -1])

    def _fit(self, logits_V: Tensor) -> Tensor:
        more = self._vocab - len(logits_V)
        return functional.pad(logits_V, (0, more), value=-torch.inf) if more else logits_V
