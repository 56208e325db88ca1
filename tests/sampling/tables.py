"""Models that are tables of logits, and dice whose every fall is tried: what a sampler does, without chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


class Table:
    """A reader of a model whose next token depends on the last two, [V + 1, V, V]; it keeps all that it has read."""

    def __init__(self, table_VVV: Tensor, prompts: Sequence[Sequence[int]], room: int) -> None:
        self.table_VVV, self.room = table_VVV, room
        self.read_so_far: list[list[int]] = [[len(table_VVV) - 1, *prompt] for prompt in prompts]
        self.padding = [max(map(len, prompts)) - len(prompt) for prompt in prompts]
        self.reads: list[int] = []
        self.marked: int | None = None

    @property
    def rows(self) -> int:
        return len(self.read_so_far)

    @property
    def left(self) -> int:
        return self.room - self.padding[0] - len(self.read_so_far[0]) + 1

    def read(self, tokens_BT: Tensor, last: int = 1) -> Tensor:
        assert len(tokens_BT) == self.rows and tokens_BT.shape[1] <= self.left and 1 <= last <= tokens_BT.shape[1]
        self.reads.append(tokens_BT.shape[1])
        for seen, tokens in zip(self.read_so_far, tokens_BT.tolist(), strict=True):
            seen.extend(tokens)
        return torch.stack(
            [
                torch.stack(
                    [
                        self.table_VVV[seen[place - 2], seen[place - 1]]
                        for place in range(len(seen) - last + 1, len(seen) + 1)
                    ]
                )
                for seen in self.read_so_far
            ]
        )

    def pick(self, rows_N: Tensor) -> None:
        self.read_so_far = [list(self.read_so_far[row]) for row in rows_N.tolist()]
        self.padding = [self.padding[row] for row in rows_N.tolist()]

        self.marked = None

    def mark(self) -> None:
        self.marked = len(self.read_so_far[0])

    def back(self, count: int) -> None:
        assert self.marked is not None and len(self.read_so_far[0]) - count >= self.marked
        for seen in self.read_so_far:
            del seen[len(seen) - count :]


def table(vocab: int, seed: int, spread: float = 1.5) -> Tensor:
    """Return the logits [V + 1, V, V] of a model; the last row is that of a text's beginning."""
    return torch.randn(vocab + 1, vocab, vocab, generator=torch.Generator().manual_seed(seed)) * spread


def opener(table_VVV: Tensor) -> Callable[[Sequence[Sequence[int]], int], tuple[Table, Tensor]]:
    """Return what begins to read by a table."""

    def open_(prompts: Sequence[Sequence[int]], room: int) -> tuple[Table, Tensor]:
        reader = Table(table_VVV, prompts, room)
        begun = [([len(table_VVV) - 1, *prompt])[-2:] for prompt in prompts]
        return reader, torch.stack([table_VVV[before, last] for before, last in begun])

    return open_


class Every:
    """Dice that fall each way in turn: `falls` runs what throws them, once a way, and gives the chance of it."""

    def __init__(self) -> None:
        self.path: list[tuple[int, list[tuple[int, float]]]] = []
        self.turn = 0

    def _fall(self, ways: list[tuple[int, float]]) -> int:
        if self.turn == len(self.path):
            self.path.append((0, ways))
        place, known = self.path[self.turn]
        self.turn += 1
        return known[place][0]

    def pick(self, weights_V: Tensor) -> int:
        total = float(weights_V.sum())
        return self._fall([(token, weight / total) for token, weight in enumerate(weights_V.tolist()) if weight > 0])

    def passes(self, chance: float) -> bool:
        return bool(self._fall([(1, chance), (0, 1 - chance)]))

    def falls(self, run: Callable[[], Any]) -> Iterator[tuple[Any, float]]:
        while True:
            self.turn = 0
            result, chance = run(), 1.0
            for place, ways in self.path:
                chance *= ways[place][1]
            yield result, chance
            while self.path and self.path[-1][0] + 1 == len(self.path[-1][1]):
                self.path.pop()
            if not self.path:
                return
            place, ways = self.path[-1]
            self.path[-1] = (place + 1, ways)
