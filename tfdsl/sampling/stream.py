"""Tokens to text as they come: a character is written when its last byte is there."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence


def stream(tokens: Iterable[int], pieces: Sequence[bytes]) -> Iterator[str]:
    """Yield the text of `tokens`, given the bytes of each; bytes that are no UTF-8 come out as U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in tokens:
        text = decoder.decode(pieces[token] if token < len(pieces) else b"")
        if text:
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest
