"""Conversations as prompts and answers: what was said in plain text, and where in it the assistant speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tfdsl.data.source import Record, Source
from tfdsl.diagnostics import Diagnostic

Stretches = tuple[tuple[int, int], ...]  # of characters: the first, and the one behind the last
MESSAGES, ANSWERER, SYSTEM = "messages", "assistant", "system"
EARLIER = "earlier_answers"
MADE = ("prompt", "answer", EARLIER)


class Chat(Source):
    """Records with `messages`, each a list of `{role, content}`, given a `prompt` and an `answer` made of them.

    The answer is the last message, the assistant's; each before it becomes a line `role: content`, and the prompt ends
    with `assistant: `. A conversation of several turns is one example, whose `earlier_answers` say where in the prompt
    the assistant has spoken before.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.columns = (*source.columns, *MADE)
        self.count, self.classes = source.count, source.classes

    def read(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        """Yield the records with both texts and the earlier answers, or what is wrong with one."""
        for record in self._source.read(first, last):
            if isinstance(record, Diagnostic):
                yield record
                continue
            texts = told(record.values.get(MESSAGES))
            if isinstance(texts, str):
                yield Diagnostic("R743", f"`{MESSAGES}` of {record.place} {texts}")
            else:
                yield replace(record, values={**record.values, **dict(zip(MADE, texts, strict=True))})

    def narrow(self, columns: Sequence[str]) -> Source:
        """Return the source with these columns at least."""
        return Chat(self._source.narrow([*(name for name in columns if name not in MADE), MESSAGES]))

    def files(self) -> Sequence[Path]:
        """Return the files of the conversations."""
        return self._source.files()

    def lacking(self, column: str) -> tuple[Path, ...]:
        """Return the files that have no conversations, or not another column."""
        return self._source.lacking(MESSAGES if column in MADE else column)

    def apart(self, share: float) -> NDArray[np.bool_]:
        """Return which conversations are held out."""
        return self._source.apart(share)

    def pieces(self, most: int) -> list[tuple[int, int]]:
        """Return the stretches of the conversations."""
        return self._source.pieces(most)


def of(source: Source) -> Source:
    """Return the source, with prompts and answers where it has messages in place of them."""
    return Chat(source) if MESSAGES in source.columns and not {"prompt", "answer"} & set(source.columns) else source


def against(messages: Any) -> str:
    """Return what is wrong with what should be a list of messages, or nothing."""
    if not isinstance(messages, list | tuple) or not messages:
        return "is no list of messages"
    for message in messages:
        if not isinstance(message, Mapping) or not all(
            isinstance(message.get(key), str) for key in ("role", "content")
        ):
            return "has a message that is not `{role: text, content: text}`"
    return ""


def told(messages: Any) -> tuple[str, str, Stretches] | str:
    """Return the prompt, the answer and the earlier answers of a conversation, or what is wrong with it."""
    said = messages.tolist() if isinstance(messages, np.ndarray) else messages
    if wrong := against(said):
        return wrong
    if said[-1]["role"] != ANSWERER:
        return f"ends with a message of `{said[-1]['role']}`: the last one must be the `{ANSWERER}`'s"
    empty = next(
        (at for at, each in enumerate(said, 1) if each["role"] == ANSWERER and not each["content"].strip()), None
    )
    if empty is not None:
        return f"has nothing in message {empty}, which is the `{ANSWERER}`'s: there is no answer to learn"
    if all(each["role"] in (ANSWERER, SYSTEM) for each in said):
        return f"has no message that the `{ANSWERER}` answers, such as the `user`'s"
    prompt = asked(said[:-1])
    return str(prompt), str(said[-1]["content"]), prompt.answers


class Talk(str):
    """The text of a conversation, which knows where in it the assistant has spoken."""

    answers: Stretches = ()


def asked(messages: Sequence[Mapping[str, str]]) -> Talk:
    """Return the prompt that messages are: a line `role: content` each, and `assistant: ` behind them."""
    text = ""
    answers: list[tuple[int, int]] = []
    for message in messages:
        text += f"{message['role']}: "
        if message["role"] == ANSWERER:
            answers.append((len(text), len(text) + len(message["content"])))
        text += f"{message['content']}\n"
    talk = Talk(f"{text}{ANSWERER}: ")
    talk.answers = tuple(answers)
    return talk


def parts(text: str, stretches: Stretches) -> list[str]:
    """Return a text cut where stretches of it begin and end: these are every second part."""
    edges = [0, *chain.from_iterable(stretches), len(text)]
    return [text[first:last] for first, last in pairwise(edges)]


def encoded(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the tokens of a text, those of a conversation as it is learned: each answer is made into tokens apart."""
    first, *rest = parts(text, text.answers if isinstance(text, Talk) else ())
    more = [tokenizer.encode(each, add_special_tokens=False).ids for each in rest]
    return [*tokenizer.encode(first).ids, *chain.from_iterable(more)]
