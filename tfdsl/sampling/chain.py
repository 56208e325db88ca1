"""chain: what is done to the logits before a token is drawn, stage by stage, named and in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from tfdsl import settings
from tfdsl.sampling import processors

Processor = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The texts so far: tokens [B, T], of which the last `drawn` were drawn; -1 stands before the shorter ones."""

    tokens_BT: Tensor
    drawn: int


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One step of a chain: what it is called, and the logits [B, V] that it makes of those before it."""

    name: str
    apply: Callable[[Seen, Tensor], Tensor]


def chain(chosen: settings.Sample, own: Sequence[Processor] = ()) -> tuple[Stage, ...]:
    """Return the stages that the settings ask for, in the order in which they are applied; `own` are the user's."""
    stages = [Stage(_name(each), _bound(each)) for each in own]
    temperature, k, p = chosen.temperature, chosen.top_k, chosen.top_p
    if chosen.greedy or temperature == 0:
        return tuple(stages)
    stages.append(Stage(f"temperature {temperature:g}", lambda _, logits: processors.temper(logits, temperature)))
    if k is not None:
        stages.append(Stage(f"top_k {k}", lambda _, logits: processors.top_k(logits, k)))
    if p is not None and p < 1:
        stages.append(Stage(f"top_p {p:g}", lambda _, logits: processors.top_p(logits, p)))
    return tuple(stages)


def _name(processor: Processor) -> str:
    return getattr(processor, "__name__", type(processor).__name__)


def _bound(processor: Processor) -> Callable[[Seen, Tensor], Tensor]:
    return lambda seen, logits: processor(seen.tokens_BT, logits)
