"""chain: what is done to the logits before a token is drawn, stage by stage, named and in order.

1. Penalties, which judge each token by the model's own score. 2. `logit_bias`, which adds exactly what it says.
3. What may not be written: `no_repeat_ngram`, `banned`, the end before `min_length`; `forced` rules out all else, and
has the last word. 4. Functions of the user's own. 5. `temperature`. 6. Filters: `top_n_sigma`, which measures all
scores, then `top_k`, `top_p`, `min_p`, `typical_p`, `epsilon_cutoff` and `eta_cutoff`, each on what the one before
leaves, as in transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.sampling import banning, processors
from tfdsl.sampling.draw import Undrawable
from tfdsl.sampling.words import UNSAID, Words

Processor = Callable[[Tensor, Tensor], Tensor]
TAKES = "a processor takes tokens [B, T] and logits [B, V], and returns such logits"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The texts so far: tokens [B, T], of which the last `drawn` were drawn; -1 stands before the shorter ones.

    Of a text that is written for a source they hold what is written alone.
    """

    tokens_BT: Tensor
    drawn: int

    @property
    def written_BT(self) -> Tensor:
        """Return the tokens that were drawn."""
        return self.tokens_BT[:, self.tokens_BT.size(1) - self.drawn :]


Apply = Callable[[Seen, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One step of a chain: what it is called, and the logits [B, V] that it makes of those before it.

    `reads` says that it looks at the texts.
    """

    name: str
    apply: Apply
    reads: bool = False


def chain(
    chosen: settings.Sample,
    words: Words = UNSAID,
    end: Collection[int] = (),
    pieces: Sequence[bytes] = (),
    own: Sequence[Processor] = (),
) -> tuple[Stage, ...]:
    """Return the stages that the settings ask for, in the order in which they are applied.

    `words` are what the settings say of words, `end` the tokens that end a text, `pieces` the bytes that each token
    writes; `own` are the user's functions. Where the likeliest token is taken, filters that always leave it are left
    out.
    """
    stages = [*_penalties(chosen), *_rules(chosen, words, end, pieces)]
    stages += [Stage(_name(each), _bound(each), reads=True) for each in own]
    greedy = chosen.greedy or chosen.temperature == 0
    if not greedy:
        stages += [*_filters(chosen)]
    elif chosen.typical_p is not None and chosen.typical_p < 1:
        stages += [each for each in _filters(chosen) if chosen.temperature]
    return tuple(stages)


def unfit(own: Sequence[Any]) -> list[Diagnostic]:
    """Return which of the user's own processors is no function, if one is not."""
    return [
        Diagnostic("R814", f"a processor is to be a function, and is {each!r:.40}", label="no function", help=TAKES)
        for each in own
        if not callable(each)
    ]


def _penalties(chosen: settings.Sample) -> Iterator[Stage]:
    again, presence, frequency = chosen.repetition_penalty, chosen.presence_penalty, chosen.frequency_penalty
    if again != 1:
        yield Stage(
            f"repetition_penalty {again:g}",
            lambda seen, logits: processors.repetition(logits, seen.tokens_BT, again),
            reads=True,
        )
    for name, once, each in (("presence", presence, 0.0), ("frequency", 0.0, frequency)):
        if once or each:
            yield Stage(f"{name}_penalty {once or each:g}", _written(once, each), reads=True)


def _written(presence: float, frequency: float) -> Apply:
    return lambda seen, logits: processors.presence_and_frequency(logits, seen.written_BT, presence, frequency)


def _rules(chosen: settings.Sample, words: Words, end: Collection[int], pieces: Sequence[bytes]) -> Iterator[Stage]:
    if words.bias:
        places, weights = torch.tensor([each[0] for each in words.bias]), torch.tensor([each[1] for each in words.bias])
        yield Stage(
            f"logit_bias of {_count(len(words.bias), 'token')}",
            lambda _, logits: logits.index_add(1, places, weights.to(logits.dtype).expand(len(logits), -1)),
        )
    if (size := chosen.no_repeat_ngram) is not None:
        yield Stage(
            f"no_repeat_ngram {size}",
            lambda seen, logits: processors.forbid_repeats(logits, seen.tokens_BT, size),
            reads=True,
        )
    if words.banned:
        banned = torch.tensor(words.banned)
        yield Stage(
            f"banned {_count(len(words.banned), 'token')}",
            lambda _, logits: logits.index_fill(1, banned, -torch.inf),
        )
    if words.banned_runs:
        yield Stage(
            f"banned {_count(len(words.banned_runs), 'run')} of tokens",
            lambda seen, logits: processors.forbid_runs(logits, seen.tokens_BT, words.banned_runs),
            reads=True,
        )
    if words.banned_texts:
        texts = [banning.Banned(text, pieces) for text in words.banned_texts]
        yield Stage(
            f"banned {_count(len(texts), 'text')}",
            lambda seen, logits: banning.forbid(logits, seen.tokens_BT, texts),
            reads=True,
        )
    least, ends = chosen.min_length, torch.tensor(sorted({*end, *words.stop}), dtype=torch.long)
    if least and len(ends):
        yield Stage(
            f"min_length {least}",
            lambda seen, logits: logits.index_fill(1, ends, -torch.inf) if seen.drawn < least else logits,
        )
    if words.forced:
        forced = words.forced
        yield Stage(
            f"forced {_count(len(forced), 'token')}",
            lambda seen, logits: processors.force(logits, forced[seen.drawn]) if seen.drawn < len(forced) else logits,
        )


def _filters(chosen: settings.Sample) -> Iterator[Stage]:
    temperature, sigma, k = chosen.temperature, chosen.top_n_sigma, chosen.top_k
    p, least, typical = chosen.top_p, chosen.min_p, chosen.typical_p
    yield Stage(f"temperature {temperature:g}", lambda _, logits: processors.temper(logits, temperature))
    if sigma is not None:
        yield Stage(f"top_n_sigma {sigma:g}", lambda _, logits: processors.top_n_sigma(logits, sigma))
    if k is not None:
        yield Stage(f"top_k {k}", lambda _, logits: processors.top_k(logits, k))
    if p is not None and p < 1:
        yield Stage(f"top_p {p:g}", lambda _, logits: processors.top_p(logits, p))
    if least:
        yield Stage(f"min_p {least:g}", lambda _, logits: processors.min_p(logits, least))
    if typical is not None and typical < 1:
        yield Stage(f"typical_p {typical:g}", lambda _, logits: processors.typical(logits, typical))

    if (low := chosen.epsilon_cutoff) is not None:
        yield Stage(f"epsilon_cutoff {low:g}", lambda _, logits: processors.epsilon(logits, low))
    if (even := chosen.eta_cutoff) is not None:
        yield Stage(f"eta_cutoff {even:g}", lambda _, logits: processors.eta(logits, even))


def _count(many: int, what: str) -> str:
    return f"{many} {what}" if many == 1 else f"{many} {what}s"


def _name(processor: Processor) -> str:
    return getattr(processor, "__name__", type(processor).__name__)


def _bound(processor: Processor) -> Apply:
    def apply(seen: Seen, logits_BV: Tensor) -> Tensor:
        try:
            found: Any = processor(seen.tokens_BT.clone(), logits_BV.clone())  # it may write into what it is given
        except StopIteration:  # it would end the texts, for they are drawn one by one
            help_ = "`next` over what is used up raises it: catch it there, or give as many as there are tokens to draw"
            raise Undrawable(f"`{_name(processor)}` raises StopIteration", help_) from None
        if not isinstance(found, Tensor) or found.shape != logits_BV.shape or not found.is_floating_point():
            what = f"numbers {list(found.shape)}" if isinstance(found, Tensor) else f"{found!r:.40}"
            raise Undrawable(f"`{_name(processor)}` gives {what}, and was given logits {list(logits_BV.shape)}", TAKES)
        return found

    return apply
