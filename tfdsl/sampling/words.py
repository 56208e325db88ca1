"""words: the texts and tokens that the settings speak of, as tokens of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tokenizers import Tokenizer

from tfdsl import settings, tokens
from tfdsl.data import chat
from tfdsl.diagnostics import Diagnostic
from tfdsl.settings.sample import meant, token


@dataclass(frozen=True, slots=True)
class Words:
    """What the settings say of words: tokens and what is added to their scores, what is never written (tokens, runs of
    several, texts), what a text begins with, and what it stops at.
    """

    bias: tuple[tuple[int, float], ...] = ()
    banned: tuple[int, ...] = ()
    banned_runs: tuple[tuple[int, ...], ...] = ()
    banned_texts: tuple[str, ...] = ()
    forced: tuple[int, ...] = ()
    stop: frozenset[int] = frozenset()
    stops: tuple[str, ...] = ()


UNSAID = Words()


def resolve(chosen: settings.Sample, tokenizer: Tokenizer, vocab: int) -> tuple[Words, list[Diagnostic]]:
    """Return what the settings say of words, in tokens below `vocab`, or what is wrong with one."""
    wrong = [_no_such(name, number, vocab) for name, number in _numbers(chosen) if number >= vocab]
    bias: list[tuple[int, float]] = []
    for said, weight in chosen.logit_bias.items():
        word = token(said) if isinstance(said, str) else said
        found = [word] if isinstance(word, int) else encode(tokenizer, word)
        if len(found) != 1:
            what = "no token" if not found else f"{len(found)} tokens"
            help_ = "add to the scores of its tokens, each by its number (`#84`), or write another form of the word"
            message = f"`logit_bias` adds to the score of one token, and {word!r} is {what}"
            wrong.append(Diagnostic("R812", message, label="not one token", help=help_))
        else:
            bias.append((found[0], float(weight)))
    forced: list[int] = []
    for word in meant(chosen.forced):
        if isinstance(word, str) and (unknown := tokens.unknown(tokenizer, word)):
            message = f"`forced` holds characters that the model never saw: {', '.join(map(repr, unknown[:5]))}"
            wrong.append(Diagnostic("R711", message, help="write it in characters of the training text"))
        forced += encode(tokenizer, word) if isinstance(word, str) else _run(word)
    if len(forced) > chosen.length:
        message = f"`forced` is {len(forced)} tokens long, and `length` allows {chosen.length}"
        wrong.append(Diagnostic("R814", message, label="too long", help=f"write `length: {len(forced)}` or more"))
    if wrong:
        return UNSAID, wrong
    banned, stop = meant(chosen.banned), meant(chosen.stop)
    runs = [_run(word) for word in banned if not isinstance(word, str)]
    return Words(
        bias=tuple(bias),
        banned=tuple(run[0] for run in runs if len(run) == 1),
        banned_runs=tuple(run for run in runs if len(run) > 1),
        banned_texts=tuple(word for word in banned if isinstance(word, str)),
        forced=tuple(forced),
        stop=frozenset(word for word in stop if isinstance(word, int)),
        stops=tuple(word for word in stop if isinstance(word, str)),
    ), []


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the tokens of a text, without marks around them."""
    return tokenizer.encode(text, add_special_tokens=False).ids


def start_of(tokenizer: Tokenizer, prompt: str, made: bool) -> list[int]:
    """Return the tokens of a prompt, with the marks that stand around a text; one that was `made` reads none in it."""
    before = tokenizer.encode_special_tokens
    tokenizer.encode_special_tokens = made
    try:
        return chat.encoded(tokenizer, prompt)
    finally:
        tokenizer.encode_special_tokens = before


def _run(word: int | str | tuple[int, ...]) -> tuple[int, ...]:
    assert not isinstance(word, str), "a text was turned into tokens"
    return (word,) if isinstance(word, int) else word


def _numbers(chosen: settings.Sample) -> Iterable[tuple[str, int]]:
    """Yield every token that is written as a number, and the field that it stands in."""
    held = {"logit_bias": chosen.logit_bias, "banned": chosen.banned, "forced": chosen.forced, "stop": chosen.stop}
    for name, words in held.items():
        yield from ((name, each) for word in meant(words) if not isinstance(word, str) for each in _run(word))


def _no_such(name: str, token: int, vocab: int) -> Diagnostic:
    message = f"`{name}` names the token {token:,}, and the model has {vocab:,}: 0 to {vocab - 1:,}"
    return Diagnostic("R811", message, label="no such token", help="write its text, in quotes, in place of its number")
