"""Text of tokens as they come: whole characters, and nothing that may still become a text to stop at."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Writer:
    """What tokens write, given the bytes of each: a character comes when its last byte is there.

    Bytes that are no UTF-8 come out as U+FFFD. The text ends before the first of `stops`, and what may be the beginning
    of one is held back until it is known.
    """

    def __init__(self, pieces: Sequence[bytes], stops: Sequence[str] = ()) -> None:
        self.stopped = False
        self._pieces, self._stops = pieces, tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def take(self, token: int) -> str:
        """Return the text that is sure to be written once `token` is there."""
        return self._sure(self._decoder.decode(self._pieces[token] if token < len(self._pieces) else b""))

    def finish(self) -> str:
        """Return what was held back: nothing comes behind it."""
        if self.stopped:
            return ""
        sure = self._sure(self._decoder.decode(b"", final=True))
        rest, self._held = self._held, ""
        return sure + ("" if self.stopped else rest)

    def _sure(self, text: str) -> str:
        if not self._stops or self.stopped:
            return "" if self.stopped else text
        held = self._held + text
        found = [place for stop in self._stops if (place := held.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return held[: min(found)]
        count = max(map(lambda stop: _begun(held, stop), self._stops))
        self._held = held[len(held) - count :]
        return held[: len(held) - count]


def _begun(text: str, stop: str) -> int:
    """Return how many characters at the end of `text` are the beginning of `stop`."""
    return next((count for count in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:count])), 0)
