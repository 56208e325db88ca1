"""decoder: a causal model as something that reads prompts, in pieces, and goes on from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from tfdsl.heads import Leaving
from tfdsl.sampling import cached
from tfdsl.sampling.cached import Cache, Mark

PREFILL = 2048  # positions that are read at once where nobody says how many: a whole prompt needs no mask


class Model(Protocol):
    """A compiled model: logits [B, T, V] of tokens [B, T], which a cache places after those that it holds."""

    def new_cache(self, length: int) -> Cache:
        """Return an empty cache for `length` positions."""
        ...

    def __call__(self, tokens_BT: Tensor, *documents_BT: Tensor, cache: Cache) -> Tensor:
        """Return the logits of `tokens_BT`, and append them to the cache; a model may take documents too."""
        ...


class Rows:
    """Rows of tokens that a causal model has read: a `Reader`.

    What was read is kept besides its cache: positions may depend on how long a sequence is (LongRoPE, dynamic NTK),
    and then all of it is read again. `documents_BT` are the numbers that tell text from the padding that stands before
    shorter rows; positions behind those go on with the text.
    """

    def __init__(
        self, model: Model, head: Leaving | None, room: int, prefill: int, rows: int, documents_BT: Tensor | None = None
    ) -> None:
        self.rows = rows
        self.model, self.head, self.room, self.prefill = model, head, room, prefill
        self.documents_BT = documents_BT
        self.cache = model.new_cache(room)
        self.seen: list[Tensor] = []
        self.marked: Mark | None = None

    @property
    def left(self) -> int:
        """Return how many positions can still be read."""
        return self.room - self.cache.position

    def read(self, tokens_BT: Tensor, last: int = 1) -> Tensor:
        """Read tokens behind those that were read; return float32 logits [B, last, V] at the last positions."""
        self.seen.append(tokens_BT)
        with torch.inference_mode():
            try:
                if tokens_BT.size(1) == 1:
                    return self.model(tokens_BT, cache=self.cache).float()
                return self._pieces(tokens_BT, last)
            except ValueError:
                if self.cache.position == 0 and tokens_BT.size(1) <= self.prefill:
                    raise
                return self._anew(last)

    def pick(self, rows_N: Tensor) -> None:
        """Go on with these rows, in this order; a row may be left out, or taken more than once."""
        self.seen, self.marked, self.rows = [self._read()[rows_N]], None, len(rows_N)
        with torch.inference_mode():
            cached.pick(self.cache, rows_N)
        if self.documents_BT is not None:
            self.documents_BT = self.documents_BT[rows_N]

    def mark(self) -> None:
        """Remember this place: what is read from here on may be forgotten, until rows are picked."""
        self.marked = cached.mark(self.cache)

    def back(self, count: int) -> None:
        """Forget the last `count` positions that were read since the last `mark`."""
        if count == 0:
            return
        kept_BT = self._read()[:, :-count]
        self.seen = [kept_BT]
        if self.marked is None:  # the cache was made anew since
            with torch.inference_mode():
                self._anew(1)
        elif again := cached.back(self.cache, self.marked, count):
            self.seen = [kept_BT[:, :-again]]
            self.read(kept_BT[:, -again:])

    def _pieces(self, tokens_BT: Tensor, last: int) -> Tensor:
        """Read piece by piece; of all but the `last` positions no scores are made, or as few as can be."""
        found: list[Tensor] = []
        behind = tokens_BT.size(1)  # positions from the beginning of a piece to the end
        for piece_BT in tokens_BT.split(self.prefill, dim=1):
            count = piece_BT.size(1)
            wanted = max(0, count - max(0, behind - last))
            behind -= count
            logits_BLV = self._scored(piece_BT, max(1, wanted))
            if wanted:
                found.append(logits_BLV.float())
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    def _scored(self, tokens_BT: Tensor, last: int) -> Tensor:
        """Read tokens at once; return the logits of the last positions."""
        told = self._documents(tokens_BT)
        if self.head is None:
            return self.model(tokens_BT, *told, cache=self.cache)[:, -last:]
        self.head.last = last
        try:
            return self.model(tokens_BT, *told, cache=self.cache)[:, -last:]  # a compiled step gives all
        finally:
            self.head.last = None

    def _documents(self, tokens_BT: Tensor) -> tuple[Tensor, ...]:
        """Return the numbers of the documents of what is read next, while there is padding among it."""
        start, documents_BT = self.cache.position, self.documents_BT
        if documents_BT is None or start >= documents_BT.size(1):
            return ()
        found_BT = documents_BT[:, start : start + tokens_BT.size(1)]
        return (F.pad(found_BT, (0, tokens_BT.size(1) - found_BT.size(1)), value=1),)

    def _anew(self, last: int) -> Tensor:
        """Read all that was read once more, at once, into a new cache."""
        self.cache, self.marked = self.model.new_cache(self.room), None
        return self._scored(self._read(), last).float()

    def _read(self) -> Tensor:
        """Return all tokens that were read, [B, T]."""
        if len(self.seen) > 1:
            self.seen = [torch.cat(self.seen, 1)]
        return self.seen[0]


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """The `Opener` of a causal model: prompts of one length are read by `model`, `prefill` positions at a time.

    `head` makes the scores, and is asked for those that are wanted alone. Prompts of several lengths are read by what
    `parted` gives, where that can be had: the same weights, in a model that takes documents, and its head.
    """

    model: Model
    head: Leaving | None = None
    prefill: int = PREFILL
    parted: Callable[[], tuple[Model, Leaving | None]] | None = None

    @property
    def ragged(self) -> bool:
        """Return whether prompts of several lengths can be read at once."""
        return self.parted is not None

    def __call__(self, prompts: Sequence[Sequence[int]], room: int) -> tuple[Rows, Tensor]:
        """Read prompts of one or more tokens each; return the reader and float32 logits [B, V] of what comes next."""
        longest = max(map(len, prompts))
        if all(len(prompt) == longest for prompt in prompts):
            reader, tokens_BT = Rows(self.model, self.head, room, self.prefill, len(prompts)), torch.tensor(prompts)
        else:
            assert self.parted is not None, "prompts of several lengths need a model that can tell them apart"
            model, head = self.parted()
            padding = [longest - len(prompt) for prompt in prompts]
            tokens_BT = torch.tensor([[0] * count + [*each] for count, each in zip(padding, prompts, strict=True)])
            text_BT = torch.arange(longest) >= torch.tensor(padding)[:, None]
            reader = Rows(model, head, room, self.prefill, len(prompts), text_BT.long())
        return reader, reader.read(tokens_BT)[:, -1]
