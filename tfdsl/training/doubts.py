"""What of settings and data can be honoured and is hardly meant: worth a word before a run begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfdsl import settings, tokens
from tfdsl.data.table import Prepared, Ragged, Table
from tfdsl.diagnostics import Diagnostic

STRANGE, LOOKED = 0.1, 1_000_000  # the least share of unknown tokens that is told, and how many are looked at
Problems = list[tuple[str, Diagnostic]]


def doubts(train: settings.Train, made: Prepared) -> Problems:
    """Return what is worth a word of settings and of the data that they name, each with its place in the spec."""
    meant = _meant(train)
    same = [] if any(said.code == "W626" for _, said in meant) else _same(made)
    return [*meant, *same, *_strange(made), *_hollow(made)]


def _meant(train: settings.Train) -> list[tuple[str, Diagnostic]]:
    """Warn of settings that do nothing, or little."""
    found: list[tuple[str, Diagnostic]] = []
    rise = train.schedule.settled(train.steps).warmup
    if rise >= train.steps and "warmup" in train.schedule.model_fields_set:
        never = "it never reaches `lr`" if rise > train.steps else "it reaches `lr` at the last one"
        message = f"the learning rate rises for {rise:,} steps, and the run has {train.steps:,}: {never}"
        help_ = "a number below 1 is a share of the steps: `warmup: 0.1`"
        found.append(("train.schedule.warmup", Diagnostic("W625", message, label="too long", help=help_)))
    source, apart = train.data and train.data.source, train.data and train.data.held_out
    if isinstance(source, str) and isinstance(apart, str) and Path(apart).resolve() == Path(source).resolve():
        message = f"`{apart}` is what the model is trained on: what is measured is how well it is known by heart"
        help_ = "leave `held_out` out, and a tenth of the examples is kept apart"
        found.append(("train.data.held_out", Diagnostic("W626", message, label="the same", help=help_)))
    return found


def _strange(made: Prepared) -> list[tuple[str, Diagnostic]]:
    """Warn of texts that the tokenizer does not know: their words become one token, which is learned with ease."""
    mark = None if made.tokenizer is None else tokens.strange(made.tokenizer)
    found: list[tuple[str, Diagnostic]] = []
    for name in made.train.sizes if mark is not None else ():
        column = made.train.columns[name]
        if not isinstance(column, Ragged):
            continue
        share = float((column.values[:LOOKED] == mark).mean()) if len(column.values) else 0.0
        if share >= STRANGE:
            message = f"{share:.0%} of the tokens of `{name}` stand for words that the vocabulary does not have"
            help_ = "what is measured counts them as right: take a larger `vocab_size`, or a tokenizer of bytes (`bpe`)"
            found.append(("train.tokenizer", Diagnostic("W627", message, label="knows too few", help=help_)))
    return found


def _same(made: Prepared) -> Problems:
    """Warn where the held-out examples are those which are trained on, from another file."""
    one, other = made.train.columns, made.held_out.columns
    if len(made.train) != len(made.held_out) or any(len(one[name].values) != len(other[name].values) for name in one):
        return []
    if not all(np.array_equal(one[name].values, other[name].values) for name in one):
        return []
    message = "what is held out is, example by example, what the model is trained on"
    help_ = "leave `held_out` out, and a tenth of the examples is kept apart"
    return [("train.data.held_out", Diagnostic("W626", message, label="the same", help=help_))]


def _hollow(made: Prepared) -> Problems:
    """Warn of texts that are empty."""
    found: Problems = []
    for name in made.train.sizes:
        empty = sum(_empty(table, name) for table in (made.train, made.held_out))
        if empty:
            what = "1 text" if empty == 1 else f"{empty:,} texts"
            message = f"{what} of `{name}` {'is' if empty == 1 else 'are'} empty"
            help_ = "leave such examples out, if nothing is meant by them"
            found.append(("train.data", Diagnostic("W640", message, label="nothing to read", help=help_)))
    return found


def _empty(table: Table, name: str) -> int:
    column = table.columns[name]
    return int((np.diff(column.offsets) == 0).sum()) if isinstance(column, Ragged) else 0
