"""Small texts in tables, and the specs cut down, for the tests of objectives of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

import tfdsl
from tfdsl import roles, settings, tokens
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.roles import Signature

SMALL = {
    "n_kv_heads": 1,
    "vocab_size": 300,
    "n_layers": 2,
    "d_model": 16,
    "n_heads": 2,
    "head_dim": 8,
    "d_ff": 32,
    "context": 64,
}


def reduced(name: str, *more: str) -> list[str]:
    """Return the overrides that cut a published spec down to a size for tests."""
    spec = tfdsl.load(f"specs/{name}.yaml")
    return [f"dims.{dim}={size}" for dim, size in SMALL.items() if dim in spec.dims] + list(more)


def signature(name: str, *more: str) -> Signature:
    """Return what a published model takes and gives, cut down."""
    return roles.of(tfdsl.check(f"specs/{name}.yaml", reduced(name, *more)))


def build(name: str, *more: str) -> nn.Module:
    """Return a published model, cut down, without dropout."""
    return tfdsl.build(tfdsl.check(f"specs/{name}.yaml", reduced(name, *more))).eval()


def column(rows: Sequence[Sequence[int]]) -> Ragged:
    """Return rows of tokens as a column."""
    flat = np.array([token for row in rows for token in row], np.uint16)
    return Ragged(flat, np.cumsum([0, *map(len, rows)]))


def prepared(
    marks: Sequence[str] = (), extras: int = 0, pad: int | None = 0, **columns: Sequence[Sequence[int]]
) -> Prepared:
    """Return columns of tokens, the same to learn from and held out, with a tokenizer of bytes that has the marks."""
    found = {name: column(rows) for name, rows in columns.items()}
    table = Table(found, {name: sum(map(len, rows)) for name, rows in columns.items()})
    made = tokens.make(settings.Tokenizer(), (), 300, marks, extras, pad)
    return Prepared(table, table, made)
