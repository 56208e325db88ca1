"""A small run for tests: a text, a model and settings that train in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from tests.training.gpt import GPT
from tfdsl import settings
from tfdsl.roles import Input, Signature
from tfdsl.training import Subject

TEXT = "the quick brown fox jumps over the lazy dog\n" * 40
LETTERS = len(set(TEXT))


def chosen(folder: Path, **fields: Any) -> settings.Train:
    """Return settings for a run on TEXT, written below `folder`, with `fields` in place of the usual ones."""
    (folder / "text.txt").write_text(TEXT)
    usual = {
        "data": str(folder / "text.txt"),
        "tokenizer": {"type": "characters"},
        "steps": 20,
        "batch": 4,
        "optimizer": {"lr": 1e-2},
        "schedule": {"warmup": 3},
        "evaluate": {"every": 8, "batches": 2},
        "checkpoint": {"every": 5},
        "threads": 1,
        "precision": "float32",
    }
    return settings.Train.model_validate(usual | fields)


def signature(vocab: int = LETTERS, context: int | None = 16) -> Signature:
    """Return what a small GPT takes and gives."""
    tokens = Input("tokens", ("B", "T"), "tokens", vocab)
    limits = {} if context is None else {"T": context}
    return Signature({"tokens": tokens}, {"logits": ("B", "T", vocab)}, limits)


def subject(
    vocab: int = LETTERS, dropout: float = 0.2, wrap: type[nn.Module] = GPT, context: int | None = 16
) -> Subject:
    """Return a small model to train."""
    return Subject(
        "small", "tfdsl: 1\n", "import torch\n", lambda: wrap(vocab, dropout=dropout), signature(vocab, context)
    )
