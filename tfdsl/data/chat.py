"""Conversations as prompts and answers: what was said before, in plain text, and what the assistant said last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfdsl.data.source import Record, Source
from tfdsl.diagnostics import Diagnostic

MESSAGES, ANSWERER = "messages", "assistant"
MADE = ("prompt", "answer")


class Chat(Source):
    """Records with `messages`, each a list of `{role, content}`, given a `prompt` and an `answer` made of them.

    The answer is the last message, the assistant's; each before it becomes a line `role: content`, and the prompt ends
    with `assistant: `. A conversation of several turns is one example.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.columns = (*source.columns, *MADE)
        self.count, self.classes = source.count, source.classes

    def read(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        """Yield the records with both texts, or what is wrong with one."""
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
    return Chat(source) if MESSAGES in source.columns and not set(MADE) & set(source.columns) else source


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


def told(messages: Any) -> tuple[str, str] | str:
    """Return the prompt and the answer of a conversation, or what is wrong with it."""
    said = messages.tolist() if isinstance(messages, np.ndarray) else messages
    if wrong := against(said):
        return wrong
    if said[-1]["role"] != ANSWERER:
        return f"ends with a message of `{said[-1]['role']}`: the last one must be the `{ANSWERER}`'s"
    return asked(said[:-1]), str(said[-1]["content"])


def asked(messages: Sequence[Mapping[str, str]]) -> str:
    """Return the prompt that messages are: a line `role: content` each, and `assistant: ` behind them."""
    return "".join(f"{message['role']}: {message['content']}\n" for message in messages) + f"{ANSWERER}: "
