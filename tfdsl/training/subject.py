"""What the trainer is given: a model that can be built, and what its spec says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from tfdsl.diagnostics import Span


def nowhere(path: str) -> Span | None:
    """Know of no place in a text."""
    return None


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to train.

    `spec` and `source` are the texts of the spec and of the emitted module, kept with the run; `build` makes the module
    anew, its weights drawn from torch's generator; `vocab` is the number of tokens that it takes, `context` the most
    positions (None: any number), `decays` the names of the weights that decay (None: matrices); `where` finds the place
    in the spec of a setting such as `train.tokenizer.vocab_size`.
    """

    name: str
    spec: str
    source: str
    build: Callable[[], nn.Module]
    vocab: int
    context: int | None = None
    decays: frozenset[str] | None = None
    where: Callable[[str], Span | None] = nowhere
