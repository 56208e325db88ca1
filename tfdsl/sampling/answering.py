"""answering: a model that writes a text for a source (a text, or numbers), which is read once, as a reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tfdsl.sampling.cached import Cache
from tfdsl.sampling.decoder import PREFILL, Rows
from tfdsl.sampling.step import Call

Inputs = Mapping[str, Tensor]
Feed = Callable[[Tensor, int], Inputs]
"""From tokens [B, T] of what is written, and the position of the first of them, to the inputs that are about them."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a model is to do with a source: its inputs in `order`, the `output` [B, T, V], and how each text starts.

    Tokens that are `never` written have no chance: padding would not be seen by what comes behind it.
    """

    feed: Feed
    order: tuple[str, ...]
    output: str
    start: int
    never: tuple[int, ...] = ()


def ordered(task: Task, source: Inputs, tokens_BT: Tensor, first: int) -> list[Tensor]:
    """Return what a model takes for tokens of what is written, of which the first has that position."""
    fed = {**source, **task.feed(tokens_BT, first)}
    return [fed[name] for name in task.order if name in fed]


class Held:
    """A model that was given sources: logits [B, T, V] of tokens, with a cache or without one.

    Its encoder runs once, as do the keys and values of attention to what it gave (`Cache.once`); a model without a
    cache reads all anew each time. `apart` says that what is made here may meet gradients later.
    """

    def __init__(self, model: Callable[..., Any], task: Task, source: Inputs, apart: bool = False) -> None:
        self.model, self.task, self.source, self.apart = model, task, source, apart
        self.made: Callable[[int], Cache] | None = getattr(model, "new_cache", None)

    @property
    def rows(self) -> int:
        """Return how many sources there are."""
        return len(next(iter(self.source.values())))

    def new_cache(self, length: int) -> Cache:
        """Return an empty cache for `length` positions of what is written."""
        return self.made(length) if self.made is not None else Told(length)

    def __call__(self, tokens_BT: Tensor, *documents_BT: Tensor, cache: Cache) -> Tensor:
        """Return the logits of `tokens_BT`, and append them to the cache."""
        with torch.inference_mode(not self.apart and torch.is_inference_mode_enabled()), torch.no_grad():
            if isinstance(cache, Told):
                logits_BTV = self._given(cache.take(tokens_BT), 0, {})[:, -tokens_BT.size(1) :]
            else:
                logits_BTV = self._given(tokens_BT, cache.position, {"cache": cache})
            if self.task.never:
                logits_BTV[..., list(self.task.never)] = -torch.inf
            return logits_BTV

    def _given(self, tokens_BT: Tensor, first: int, more: dict[str, Any]) -> Tensor:
        found = self.model(*ordered(self.task, self.source, tokens_BT, first), **more)
        logits_BTV: Tensor = found[self.task.output] if isinstance(found, dict) else found
        return logits_BTV

    def pick(self, rows_N: Tensor) -> None:
        """Go on with these sources."""
        self.source = {name: each[rows_N] for name, each in self.source.items()}


class Told:
    """In place of a cache: the tokens that were read, for a model that reads all of them each time."""

    def __init__(self, length: int) -> None:
        self.length, self.position, self.turn = length, 0, 0
        self.entries: list[Any] = []

    def take(self, tokens_BT: Tensor) -> Tensor:
        """Return all tokens, with these behind those that were read."""
        self.entries[:] = [torch.cat([*self.entries, tokens_BT], 1)]
        self.position = self.entries[0].size(1)
        return self.entries[0]


class Answer(Rows):
    """Texts that are written for sources, a row each: a `Reader`."""

    def __init__(self, held: Held, room: int) -> None:
        super().__init__(held, None, room, PREFILL, held.rows)
        self.held = held

    def begin(self) -> Tensor:
        """Read what every text begins with; return float32 logits [B, V] of what comes next."""
        device = next(iter(self.held.source.values())).device
        return self.read(torch.full((self.rows, 1), self.held.task.start, device=device))[:, -1]

    def pick(self, rows_N: Tensor) -> None:
        """Go on with these rows, in this order; a row may be left out, or taken more than once."""
        super().pick(rows_N)
        self.held.pick(rows_N)


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """The `Opener` of a model that writes a text for a source: a prompt is the source.

    `sources` makes inputs of several prompts; `limit` is the most positions that the model has for what it writes.
    `example` makes inputs of so many sources of some size, whatever they are, and `written` is the input for what is
    written: a step of one token is traced with them.
    """

    model: Callable[..., Any]  # a module, or one with compiled steps
    task: Task
    sources: Callable[[Sequence[Sequence[int]]], Inputs]
    limit: int | None = None
    example: Callable[[int, int], Inputs] | None = None
    written: str = ""

    @property
    def call(self) -> Call:
        """Return how the model is called."""
        example, task = self.example, self.task
        assert example is not None, "a model that is compiled has one"

        def inputs(rows: int, count: int, first: int, size: int) -> list[Tensor]:
            return ordered(task, example(rows, size), torch.zeros(rows, count, dtype=torch.long), first)

        fed = {*example(1, 1), *task.feed(torch.zeros(1, 1, dtype=torch.long), 1)}
        return Call(inputs, [name for name in task.order if name in fed].index(self.written), task.output, True)

    def __call__(self, prompts: Sequence[Sequence[int]], room: int) -> tuple[Answer, Tensor]:
        """Read prompts; return the reader and float32 logits [B, V] of what each text begins with.

        `room` is that of the longest prompt and of what is written; the prompts take none of it here.
        """
        written = room - max(map(len, prompts)) + 1  # the start among them
        reader = Answer(
            Held(self.model, self.task, self.sources(prompts)),
            written if self.limit is None else min(self.limit, written),
        )
        return reader, reader.begin()
