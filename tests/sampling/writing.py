"""Tokens that a model writes behind others, for tests that care for nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tfdsl import settings
from tfdsl.sampling import Decoder, Plan, generate
from tfdsl.sampling.chain import chain
from tfdsl.sampling.draw import Stream
from tfdsl.sampling.generate import Text


def write(
    model: Any, tokens: Sequence[int], length: int, context: int | None = None, slide: bool = False, **chosen: Any
) -> Iterator[int]:
    """Yield up to `length` tokens behind `tokens`, drawn as the `sample` section says in `chosen`."""
    sample = settings.Sample.model_validate(chosen)
    greedy = sample.greedy or sample.temperature == 0
    plan = Plan(length, chain(sample), greedy, context=context, slide=slide)
    return (drawn.token for drawn in generate(Decoder(model), [Text(0, list(tokens), Stream(sample.seed))], plan))
