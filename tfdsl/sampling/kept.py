"""kept: a reader that is kept from one text to the next, so that what both begin with is read once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tfdsl.sampling.reader import Opener, Reader

BEHIND = 8  # tokens at the end of a prompt that may be others once more text stands behind them


class Going:
    """A reader that remembers which tokens of its one row it has read, and where it may go back to."""

    def __init__(self, inner: Reader, tokens: Sequence[int]) -> None:
        self.inner, self.tokens = inner, list(tokens)
        self.mark()

    @property
    def rows(self) -> int:
        """Return how many rows are read at once."""
        return self.inner.rows

    @property
    def left(self) -> int | None:
        """Return how many positions can still be read; None where there is no limit."""
        return self.inner.left

    def read(self, tokens_BT: Tensor, last: int = 1) -> Tensor:
        """Read tokens behind those that were read; return float32 logits [B, last, V] at the last positions."""
        self.tokens += tokens_BT[0].tolist()
        return self.inner.read(tokens_BT, last)

    def pick(self, rows_N: Tensor) -> None:
        """Go on with these rows, in this order; what was read is then of several texts, and cannot be gone on from."""
        self.inner.pick(rows_N)
        self.tokens, self.least = [], 1

    def mark(self) -> None:
        """Remember this place: what is read from here on may be forgotten, until rows are picked."""
        self.inner.mark()
        self.least = len(self.tokens)

    def back(self, count: int) -> None:
        """Forget the last `count` positions that were read since the last `mark`."""
        self.inner.back(count)
        del self.tokens[len(self.tokens) - count :]


class Kept:
    """An `Opener` that goes on with the reader of the text before, where the next one begins as that does.

    A reader has room for `room` positions, so that a conversation can grow in it.
    """

    def __init__(self, open_: Opener, room: int) -> None:
        self.open, self.room = open_, room
        self.going: Going | None = None

    def forget(self) -> None:
        """Begin anew with the next text."""
        self.going = None

    def __call__(self, prompts: Sequence[Sequence[int]], room: int) -> tuple[Reader, Tensor]:
        """Read a prompt; return the reader and float32 logits [1, V] of what comes next. Several begin anew."""
        if len(prompts) != 1:
            return self.open(prompts, room)
        prompt = list(prompts[0])
        going = self.going
        same = _common(going.tokens, prompt[:-1]) if going is not None else 0
        if going is None or same < going.least or (going.left is not None and same + _free(going, same) < room):
            first = prompt[: max(1, len(prompt) - BEHIND)]
            inner, logits_BV = self.open([first], max(room, self.room))
            self.going = going = Going(inner, first)
        else:
            going.back(len(going.tokens) - same)
            first = prompt[:same]
            new = prompt[same : max(same, len(prompt) - BEHIND)]
            if new:
                logits_BV = going.read(torch.tensor([new]))[:, -1]
                first = [*first, *new]
                going.mark()
        if rest := prompt[len(first) :]:
            logits_BV = going.read(torch.tensor([rest]))[:, -1]
        return going, logits_BV  # pyright: ignore[reportPossiblyUnboundVariable]  (a prompt is longer than `same`)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _free(going: Going, same: int) -> int:
    """Return how many positions can be read behind the first `same`."""
    assert going.left is not None, "it was looked at"
    return going.left + len(going.tokens) - same
