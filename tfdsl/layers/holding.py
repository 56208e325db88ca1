"""holding: what a cache keeps of an attention's keys and values."""

from __future__ import annotations

from torch import Tensor

from tfdsl.layers.cache import Cache
from tfdsl.layers.part import Part


class Holding(Part):
    """Keys and values behind those of earlier forwards: k_BHTK, v_BHTK -> k_BHSK, v_BHSK.

    Of earlier positions are kept: all; or the newest of a `window`, perhaps with the first `tokens`; or those of the
    same `chunk`.
    """

    def __init__(self, window: int | None = None, tokens: int | None = None, chunk: int | None = None) -> None:
        super().__init__()
        self.window = window
        self.tokens = tokens
        self.chunk = chunk

    def forward(self, k_BHTK: Tensor, v_BHTK: Tensor, cache: Cache) -> tuple[Tensor, Tensor]:
        if self.window is not None and self.tokens is not None:
            k_BHTK = cache.first_and_recent(k_BHTK, 2, self.tokens, self.window)
            v_BHTK = cache.first_and_recent(v_BHTK, 2, self.tokens, self.window)
        elif self.window is not None:
            k_BHTK = cache.recent(k_BHTK, 2, self.window)
            v_BHTK = cache.recent(v_BHTK, 2, self.window)
        elif self.chunk is not None:
            k_BHTK = cache.same_chunk(k_BHTK, 2, self.chunk)
            v_BHTK = cache.same_chunk(v_BHTK, 2, self.chunk)
        else:
            k_BHTK, v_BHTK = cache.extend(k_BHTK, 2), cache.extend(v_BHTK, 2)
        return k_BHTK, v_BHTK
