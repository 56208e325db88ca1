"""begin: from prompts and settings to texts that are ready to be written, or to what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from tfdsl import settings, tokens
from tfdsl.diagnostics import Diagnostic
from tfdsl.sampling import aside, ways
from tfdsl.sampling.chain import Processor, chain, unfit
from tfdsl.sampling.generate import Plan
from tfdsl.sampling.generation import Generation
from tfdsl.sampling.models import Hastened
from tfdsl.sampling.prompts import uncounted, unreadable
from tfdsl.sampling.reader import Opener
from tfdsl.sampling.speculative import Drafting
from tfdsl.sampling.words import Words, resolve, start_of

Hasten = Callable[[settings.Sample, int, bool], Hastened]
Starts = tuple[dict[int, list[int]], dict[int, Diagnostic]]
Sources = Callable[[Sequence[str], Sequence[str]], Starts]
"""From prompts, and what they are called, to the tokens that each begins with or to what is wrong with it, by place."""


@dataclass(frozen=True, slots=True, eq=False)
class Author:
    """A model that writes: what reads its prompts, its tokenizer, and how many tokens its scores are of.

    It was `trained` on so many positions, and has no more than `limit` of them (None: any number). `end` are tokens
    that end a text besides the tokenizer's own mark; prompts of several lengths are read at once where it is `ragged`.
    `hasten` gives what reads them with other weights or compiled steps, `draft` is a smaller model that guesses. Where
    a text is written for a source, `sources` reads the prompts, and `limit` is of what is written alone. A tokenizer
    that was `made` for the model reads no mark in a prompt, however a mark is spelt: in training it did not either.
    """

    open: Opener
    tokenizer: Tokenizer | None
    vocab: int
    trained: int | None = None
    limit: int | None = None
    end: tuple[int, ...] = ()
    ragged: bool = False
    hasten: Hasten | None = None
    draft: Author | None = None
    sources: Sources | None = None
    made: bool = False


def begin(
    author: Author,
    chosen: settings.Sample,
    prompts: Sequence[str],
    own: Sequence[Processor] = (),
    numbers: Sequence[int] | None = None,
) -> tuple[Generation | None, list[Diagnostic]]:
    """Return the texts that follow the prompts, to be drawn as they are asked for, and what is wrong with prompts.

    Those are left out (`Generation.places` tells which are there); nothing is written where none is left, or where the
    settings are wrong. Notes beside them say what will happen that was not asked for. `own` are processors of the
    user's own, `numbers` what the prompts are called (from 1).
    """
    if wrong := [*uncounted(chosen), *unfit(own)]:
        return None, wrong
    tokenizer = author.tokenizer
    if tokenizer is None:
        help_ = "put the `tokenizer.json` of the model into the run's folder"
        return None, [Diagnostic("R732", "the run has no tokenizer, so it reads and writes no text", help=help_)]
    asked = chosen
    if chosen.beams is not None or author.sources is not None:  # there is no one text that could be read again
        chosen = chosen.model_copy(update={"overflow": "stop"})
    if author.draft is not None:
        wrong += _misfit(author, author.draft)
    words, unsaid = resolve(chosen, tokenizer, author.vocab)
    context, beyond = _context(author, asked)
    wrong += [*unsaid, *beyond]
    if any(each.severity == "error" for each in wrong):
        return None, wrong
    called = aside.names(len(prompts), "prompt" if author.sources is None else "source", numbers)
    read, faults = _read(author, tokenizer, prompts, called, chosen, context)
    wrong += aside.told(faults)
    if faults and not read:
        return None, wrong
    starts = [read[place] for place in sorted(read)]
    longest = max(map(len, starts), default=0)
    pieces = tokens.pieces(tokenizer)
    plan = _plan(author, chosen, words, context, pieces, own)
    made = _hastened(author, chosen, _rows(chosen, starts), len({*map(len, starts)}) > 1)
    write = ways.way(chosen, None if author.draft is None else _guesses(author.draft, chosen))
    joined = author.sources is None
    held = (chosen.n, chosen.seed, write, made.notes, joined, tuple(sorted(read)))
    found = Generation(made.open, plan, starts, pieces, words.stops, *held)
    cut = _cut({called[place]: len(start) for place, start in read.items()}, chosen, context)
    notes = [*(cut or _limits(longest, chosen, context)), *_alike(plan, chosen), *_apart(author, starts)]
    return found, [*made.said, *wrong, *_unseen(author, longest), *notes]


def unhonoured(author: Author, chosen: settings.Sample) -> list[Diagnostic]:
    """Return why a model cannot write as the settings say, whatever it is asked."""
    wrong = uncounted(chosen)
    if author.tokenizer is not None and not wrong:
        wrong += [] if author.draft is None else _misfit(author, author.draft)
        wrong += [*resolve(chosen, author.tokenizer, author.vocab)[1], *_context(author, chosen)[1]]
    return [each for each in wrong if each.severity == "error"]


def _plan(
    author: Author,
    chosen: settings.Sample,
    words: Words,
    context: int | None,
    pieces: Sequence[bytes],
    own: Sequence[Processor],
) -> Plan:
    """Return how tokens are drawn."""
    assert author.tokenizer is not None
    mark: int | None = author.tokenizer.token_to_id(tokens.END)
    end = frozenset(author.end if mark is None else (*author.end, mark))
    searched = None if chosen.beams is None else chosen.model_copy(update={"greedy": True})  # nothing is drawn
    return Plan(
        length=chosen.length,
        stages=chain(searched or chosen, words, end, pieces, own),
        greedy=chosen.greedy or chosen.temperature == 0,
        end=end,
        stop=words.stop,
        context=context,
        slide=chosen.overflow == "slide",
        logprobs=chosen.logprobs,
        batch=chosen.batch,
        ragged=author.ragged,
        joined=author.sources is None,
    )


def _hastened(author: Author, chosen: settings.Sample, rows: int, several: bool) -> Hastened:
    """Return what reads prompts the fast way that was chosen, where there is one."""
    return Hastened(author.open) if author.hasten is None else author.hasten(chosen, rows, several)


def _guesses(small: Author, chosen: settings.Sample) -> Drafting:
    """Return what guesses by a smaller model, which has the weights and compiled steps that the larger one has."""
    alone = chosen.model_copy(update={"draft": None, "lookup": None})  # nothing guesses for it
    return ways.smaller(_hastened(small, alone, 1, False).open, _known(small))


def _misfit(author: Author, small: Author) -> list[Diagnostic]:
    """Return why a model cannot guess for another, if it cannot."""
    if author.sources is not None:
        return []  # `draft` itself is refused below
    if small.sources is not None:
        message = "a draft guesses how a text goes on, and this one writes a text for a source"
        return [Diagnostic("R852", message, label="no draft", help="a smaller model of the same sort guesses")]
    return ways.unlike(author.tokenizer, small.tokenizer)


def _rows(chosen: settings.Sample, starts: Sequence[Sequence[int]]) -> int:
    """Return how many texts are written at once."""
    if chosen.draft is not None or chosen.lookup is not None:
        return 1
    return min(len(starts) * (chosen.beams or chosen.n), chosen.batch)


def _read(
    author: Author,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    names: Sequence[str],
    chosen: settings.Sample,
    context: int | None,
) -> Starts:
    """Return the tokens of the prompts that can be read, and what is wrong with others, by their place."""
    faults = unreadable(prompts, names)
    sound = [place for place in range(len(prompts)) if place not in faults]
    read = _starts(tokenizer, author.made) if author.sources is None else author.sources
    found, other = read([prompts[place] for place in sound], [names[place] for place in sound])
    faults |= {sound[at]: fault for at, fault in other.items()}
    starts = {sound[at]: start for at, start in found.items()}
    for place, start in [*starts.items()]:
        if fault := _overlong(names[place], len(start), chosen, context):
            faults[place] = fault
            del starts[place]
    return starts, faults


def _starts(tokenizer: Tokenizer, made: bool) -> Sources:
    """Return what reads prompts that are gone on from; an empty one begins a document."""
    mark = tokenizer.token_to_id(tokens.END)

    def read(prompts: Sequence[str], names: Sequence[str]) -> Starts:
        starts: dict[int, list[int]] = {}
        faults: dict[int, Diagnostic] = {}
        strange = {*tokens.unknown(tokenizer, "".join({*"".join(prompts)}))}
        for place, (prompt, name) in enumerate(zip(prompts, names, strict=True)):
            start = start_of(tokenizer, prompt, made) or ([] if mark is None else [mark])
            if unknown := strange & {*prompt}:
                letters = ", ".join(repr(letter) for letter in sorted(unknown)[:5])
                message = f"{name} holds characters that the model never saw: {letters}"
                faults[place] = Diagnostic("R711", message, help="write the prompt in characters of the training text")
            elif not start:
                help_ = "give at least one character to start from"
                faults[place] = Diagnostic("R712", f"{name} is empty", help=help_)
            else:
                starts[place] = start
        return starts, faults

    return read


def _known(author: Author) -> int | None:
    """Return the most positions that a model was made for and trained on."""
    return min((each for each in (author.limit, author.trained) if each is not None), default=None)


def _context(author: Author, chosen: settings.Sample) -> tuple[int | None, list[Diagnostic]]:
    """Return the most positions to read at once, or why the model has not so many."""
    if author.sources is not None:
        return None, _written(author, chosen)
    limit, trained, asked = author.limit, author.trained, chosen.context
    if asked is None:
        return _known(author), []
    if limit is not None and asked > limit:
        message = f"`context` asks for {asked:,} positions, and the model has {limit:,}"
        help_ = (
            "a model reads further with rotary positions that are scaled (`scaling`), with relative ones or a sliding "
            f"window; `context: {limit}` with `overflow: slide` goes on from the newest"
        )
        return None, [Diagnostic("R813", message, label="too many", help=help_)]
    if trained is not None and asked > trained:
        message = f"the model was trained on {trained:,} positions, and is to read {asked:,}"
        help_ = f"what stands beyond them it never saw; `context: {trained}` is what it knows"
        return asked, [Diagnostic("I673", message, help=help_)]
    return asked, []


def _written(author: Author, chosen: settings.Sample) -> list[Diagnostic]:
    """Say which settings are none for a text that is written for a source, and how long it may be."""
    if name := next((name for name in ("context", "overflow", "prefill", "draft") if chosen.said(name)), None):
        message = f"`{name}` is for a model that goes on from a text, and this one writes one for a source"
        help_ = "leave it out" + ("; `length` says how much is written" if name == "context" else "")
        return [Diagnostic("R843", message, label="not honoured", help=help_)]
    if author.limit is None or chosen.length <= author.limit:
        return []
    message = f"the model has {author.limit:,} positions for what it writes, and `length` is {chosen.length:,}"
    return [Diagnostic("I678", message, help="a text ends when they are full")]


def _overlong(name: str, longest: int, chosen: settings.Sample, context: int | None) -> Diagnostic | None:
    """Refuse a prompt that fills more than the context where nothing may slide."""
    if context is None or longest <= context or chosen.overflow == "slide":
        return None
    message = f"{name} has {_count(longest)}, and the model reads {context:,} positions"
    help_ = "shorten it"
    if chosen.beams is None:
        help_ += f", or write `overflow: slide`, which reads its newest {context:,}"
    return Diagnostic("R815", message, label="too long", help=help_)


def _cut(sizes: Mapping[str, int], chosen: settings.Sample, context: int | None) -> list[Diagnostic]:
    """Say that prompts, given by their names, are longer than what is read."""
    over = [] if context is None or chosen.overflow == "stop" else [name for name in sizes if sizes[name] > context]
    if not over or context is None:
        return []
    what = f"{over[0]} has {_count(sizes[over[0]])}" + (
        f", and {len(over) - 1:,} more are too long" if over[1:] else ""
    )
    message = f"{what}: the newest {context:,} are read, and the rest is left out"
    help_ = f"each time they are full, the newest {max(1, context // 2):,} are read again; `overflow: stop` refuses it"
    return [Diagnostic("W603", message, label="cut", help=help_)]


def _limits(start: int, chosen: settings.Sample, context: int | None) -> list[Diagnostic]:
    if context is None or start + chosen.length <= context:
        return []
    message = f"{_count(start)} of prompt and {chosen.length:,} more do not fit the model's {context:,} positions"
    if chosen.overflow == "slide":
        help_ = f"each time they are full, the newest {max(1, context // 2):,} are read again and the rest is forgotten"
    else:
        help_ = f"the text ends when they are full, after {_count(context - start + 1)}"
        help_ += "" if chosen.beams is not None else "; `overflow: slide` goes on"
    return [Diagnostic("I671", message, help=help_)]


def _unseen(author: Author, longest: int) -> list[Diagnostic]:
    """Say that a source is longer than those of training; prompts that are gone on from are cut to that."""
    if author.sources is None or author.trained is None or longest <= author.trained:
        return []
    message = f"a source has {_count(longest)} with its mark, and the model was trained on {author.trained:,}"
    return [Diagnostic("I673", message, help="what stands beyond them it never saw")]


def _alike(plan: Plan, chosen: settings.Sample) -> list[Diagnostic]:
    if chosen.n == 1 or not plan.greedy:
        return []
    message = f"all {chosen.n} texts of a prompt will be the same: each takes the likeliest token"
    return [Diagnostic("W601", message, help="`greedy: false` and a `temperature` above 0 draw different ones")]


def _apart(author: Author, starts: Sequence[Sequence[int]]) -> list[Diagnostic]:
    lengths = len({len(start) for start in starts})
    if author.ragged or lengths < 2:
        return []
    message = f"prompts of {lengths} lengths are written one length after the other"
    help_ = "the model has a part that would see the padding before the shorter ones (T283, T284)"
    return [Diagnostic("I672", message, help=help_)]


def _count(tokens: int) -> str:
    return f"{tokens:,} token" if tokens == 1 else f"{tokens:,} tokens"
