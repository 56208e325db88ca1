"""banning: texts that are never written, in whatever tokens they would come."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Banned:
    """A text that no token may complete, given the bytes that each token writes.

    A token is ruled out where what was written, the prompt among it, and the token's own bytes would hold the text.
    """

    def __init__(self, text: str, pieces: Sequence[bytes]) -> None:
        self.text, self.pieces = text.encode(), pieces
        self._within = [token for token, piece in enumerate(pieces) if self.text in piece]
        self._after: dict[int, list[int]] = {}

    def ruled(self, tokens: Sequence[int]) -> list[int]:
        """Return the tokens that are ruled out behind `tokens`."""
        tail = self._tail(tokens)
        found = list(self._within)
        for begun in range(1, min(len(self.text) - 1, len(tail)) + 1):
            if tail.endswith(self.text[:begun]):
                found += self._completing(begun)
        return found

    def _tail(self, tokens: Sequence[int]) -> bytes:
        """Return the last bytes of what was written, as many as may be the beginning of the text."""
        wanted, tail = len(self.text) - 1, b""
        for token in reversed(tokens):
            if len(tail) >= wanted or token < 0:
                break
            tail = (self.pieces[token] if token < len(self.pieces) else b"") + tail
        return tail

    def _completing(self, begun: int) -> list[int]:
        """Return the tokens that begin with what is missing behind the first bytes of the text."""
        if begun not in self._after:
            rest = self.text[begun:]
            self._after[begun] = [token for token, piece in enumerate(self.pieces) if piece.startswith(rest)]
        return self._after[begun]


def forbid(logits_BV: Tensor, tokens_BT: Tensor, texts: Sequence[Banned]) -> Tensor:
    """Rule out the tokens that would complete one of the texts."""
    ruled_BV = torch.zeros_like(logits_BV, dtype=torch.bool)
    for row, tokens in enumerate(tokens_BT.tolist()):
        for text in texts:
            ruled_BV[row, text.ruled(tokens)] = True
    return logits_BV.masked_fill(ruled_BV, -torch.inf)
