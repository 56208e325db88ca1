"""Generate tokens one by one with a cache: each costs the model one position."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from tfdsl.sampling.processors import choose


class Cache(Protocol):
    """What a model keeps of the positions that it has seen."""

    position: int


class Decoder(Protocol):
    """A compiled model: logits [B, T, V] of tokens [B, T], which a cache places after those that it holds."""

    def new_cache(self, length: int) -> Cache:
        """Return an empty cache for `length` positions."""
        ...

    def __call__(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Return the logits of `tokens`, and append them to the cache."""
        ...


def generate(
    model: Decoder,
    tokens: Sequence[int],
    *,
    length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    greedy: bool = False,
    seed: int = 0,
    stop: Collection[int] = (),
    context: int | None = None,
    slide: bool = False,
) -> Iterator[int]:
    """Yield up to `length` tokens that follow `tokens`, which must not be empty; end before one of `stop`.

    A token costs one position of the model. `context` is the most positions that it can hold (None: any number): when
    they are full, generation ends, or with `slide` the newer half of them is read once more and generation goes on. Of
    a longer prompt the newest `context` tokens are read. The draws are a function of `seed` alone.
    """
    if not tokens:
        raise ValueError("generate needs at least one token to start from")
    uniform = torch.Generator().manual_seed(seed)
    room = len(tokens) + length if context is None else min(context, len(tokens) + length)
    recent = deque(tokens, maxlen=room)
    unread, cache = list(recent), model.new_cache(room)
    for _ in range(length):
        if cache.position + len(unread) > room:
            if not slide:
                return
            unread, cache = list(recent)[-max(1, room // 2) :], model.new_cache(room)
        with torch.inference_mode():
            try:
                logits_V = model(torch.tensor([unread]), cache=cache)[0, -1].float()
            except ValueError:
                if cache.position == 0:
                    raise
                # Positions may depend on how long the sequence is: then what the cache holds is read again.
                unread, cache = list(recent), model.new_cache(room)
                logits_V = model(torch.tensor([unread]), cache=cache)[0, -1].float()
            point = float(torch.rand((), generator=uniform, dtype=torch.float64))
            token = choose(logits_V, 0.0 if greedy else temperature, top_k, top_p, point)
        if token in stop:
            return
        yield token
        unread = [token]
        recent.append(token)
