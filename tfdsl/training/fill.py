"""fill: a run folder of a model as it is, which no step has trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import nn

from tfdsl import disk, settings
from tfdsl.training import checkpoint, sums
from tfdsl.training.prepare import SETTINGS, SOURCE, SPEC, TOKENIZER, UNBOUNDED_CONTEXT, describe
from tfdsl.training.subject import Subject


def fill(
    folder: Path,
    subject: Subject,
    train: settings.Train,
    sample: settings.Sample,
    tokenizer: Tokenizer | None,
    model: nn.Module,
    positions: Any = None,
) -> None:
    """Fill a run folder with a model as it is: a run of no steps. `positions` are the most that it was made for."""
    disk.put(folder / SPEC, subject.spec)
    disk.put(folder / SOURCE, subject.source)
    known = positions if isinstance(positions, int) and positions > 0 else UNBOUNDED_CONTEXT
    context = subject.context or known
    disk.put(folder / SETTINGS, json.dumps(describe(subject, train, sample, context), indent=1) + "\n")
    if tokenizer is not None:
        disk.put(folder / TOKENIZER, tokenizer.to_str(pretty=True))
    state = {"held_out": None, "best": None, "best_step": 0, "seconds": 0.0, sums.KEY: sums.of(folder)}
    checkpoint.save(folder / "checkpoints", 0, checkpoint.tensors(model), {}, state)
