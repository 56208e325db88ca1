"""Records for tests: small tables in memory, models of a few weights, processes that run one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

import tfdsl
from tfdsl import roles, settings, tokens
from tfdsl.data.table import Column, Fixed, Prepared, Ragged, Table
from tfdsl.diagnostics import Diagnostic
from tfdsl.training import objectives
from tfdsl.training.processes import Processes
from tfdsl.training.task import Place, Task

MARKS = ("pad", "first", "separator", "start", "end")
BYTES = tokens.make(settings.Tokenizer(), [], 261, MARKS)
PAD, FIRST, SEPARATOR, START, END = range(256, 261)

BERT = """
tfdsl: 1
name: small
inputs:
  tokens: {shape: [B, T], vocab: 261, pad: 256}
  segments: {shape: [B, T], vocab: 2}
outputs: {pooled: [B, 8], scores: [B, 3], ends: [B, T, 2]}
defaults:
  norm: layer
  attention: {heads: 2}
model:
  body:
    - sum: [[embed: {from: tokens, width: 8}], [embed: {from: segments, width: 8}]]
    - position: {type: learned, length: 32}
    - residual: [attention, norm]
  one: [pool: {id: pooled, from: body, type: first}]
  classes: [linear: {id: scores, from: pooled, width: 3}]
  where: [linear: {id: ends, from: body, width: 2}]
"""
VIT = """
tfdsl: 1
name: images
inputs: {pixels: {shape: [B, 3, 8, 8], dtype: float}}
outputs: {logits: [B, 10]}
model:
  - patch: {from: pixels, size: 4, width: 16}
  - pool: mean
  - linear: {id: logits, width: 10}
"""


class Together(Processes):
    """One of several processes, each of which is asked in turn: what all bring is known beforehand."""

    def __init__(self, rank: int, brought: Sequence[list[Tensor]]) -> None:
        super().__init__(rank, len(brought))
        self.brought, self.asked = brought, 0

    def gathered(self, rows: Tensor) -> Tensor:
        self.asked += 1
        return torch.cat([each[self.asked - 1] for each in self.brought])


class Listening(Processes):
    """A process that keeps what it would bring."""

    def __init__(self, count: int) -> None:
        super().__init__(0, count)
        self.brought: list[Tensor] = []

    def gathered(self, rows: Tensor) -> Tensor:
        self.brought.append(rows.detach())
        return rows


def bound(spec: str, tokenizer: Tokenizer = BYTES, **train: Any) -> Task:
    """Return the task that the settings bind to a spec, or fail with what stands in its way."""
    task, problems = told(spec, **train)
    assert task is not None, problems
    return task


def told(spec: str, **train: Any) -> tuple[Task | None, list[tuple[str, Diagnostic]]]:
    """Return the task that the settings bind to a spec, and what is said."""
    chosen = settings.Train.read({"context": 16, **train})
    checked = tfdsl.check(spec)
    assert checked.ok, checked.diagnostics
    return objectives.bind(chosen, roles.of(checked))


def model(spec: str, seed: int = 0) -> nn.Module:
    """Return the model of a spec, in float64."""
    torch.manual_seed(seed)
    return tfdsl.build(spec).double().eval()


def texts(*each: str) -> Ragged:
    """Return a column of texts as bytes."""
    rows = [np.frombuffer(text.encode(), np.uint8) for text in each]
    return Ragged(np.concatenate([np.empty(0, np.uint8), *rows]), np.cumsum([0, *map(len, rows)]))


def numbers(values: Any, dtype: Any = np.int64) -> Fixed:
    """Return a column of numbers or arrays."""
    return Fixed(np.array(values, dtype))


def prepared(labels: Sequence[str] = (), **columns: Column) -> Prepared:
    """Return data whose training table is held out too."""
    table = Table(columns)
    return Prepared(table, table, BYTES, tuple(labels))


def summed(
    task: Task, net: nn.Module, table: Table, shares: Sequence[list[Place]], act: Callable[[Task, int], Tensor]
) -> list[Tensor]:
    """Return what `act` gives for each process, each being told what the others would bring."""
    listening = [Listening(len(shares)) for _ in shares]
    for rank, each in enumerate(listening):
        task.join(each)
        with suppress(RuntimeError):  # no model reads what a process without examples has alone
            act(task, rank)
    found: list[Tensor] = []
    for rank in range(len(shares)):
        task.join(Together(rank, [each.brought for each in listening]))
        found.append(act(task, rank))
    task.join(Processes())
    return found
