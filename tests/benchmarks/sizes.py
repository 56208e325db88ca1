"""The models that are compared, and the text that they are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Size:
    """A model and its batch: the same numbers for every library.

    In GPT style it has learned positions, layer norms and GELU, and its head is the embedding's matrix. In Llama style
    it has rotary positions, RMS norms, SwiGLU, a key and value head for each two heads, and a head of its own.
    """

    name: str
    layers: int
    heads: int
    width: int
    context: int
    batch: int
    vocab: int
    steps: int  # of training that are timed at once
    rounds: int = 7

    @property
    def hidden(self) -> int:
        """Return the width between the two products of a feed-forward in Llama style."""
        return 3 * self.width

    @property
    def groups(self) -> int:
        """Return the number of heads of keys and values in Llama style."""
        return self.heads // 2

    def batch_of(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets [batch, context] from random places of a text."""
        starts = torch.randint(len(text) - self.context, (self.batch, 1))
        rows = text[starts + torch.arange(self.context + 1)]
        return rows[:, :-1], rows[:, 1:]

    def text(self) -> Tensor:
        """Return a text of random tokens: speed does not depend on what they are."""
        return torch.randint(self.vocab, (100_000,), generator=torch.Generator().manual_seed(0))


SIZES = {
    "4x128": Size("4x128", layers=4, heads=4, width=128, context=64, batch=12, vocab=65, steps=10),
    "6x384": Size("6x384", layers=6, heads=6, width=384, context=256, batch=4, vocab=2048, steps=1, rounds=5),
    "8x512": Size("8x512", layers=8, heads=8, width=512, context=256, batch=2, vocab=50257, steps=1, rounds=3),
}
