"""held_out: what a run measures on the examples that it never trained on, once more, for any objective."""

from __future__ import annotations

from pathlib import Path

import torch

from tfdsl.data import prepare as data
from tfdsl.diagnostics import Diagnostic
from tfdsl.reading.trained import Trained
from tfdsl.training import objectives, order
from tfdsl.training.loop import MEASURED_TOKENS
from tfdsl.training.prepare import DATA
from tfdsl.training.processes import Processes
from tfdsl.training.task import HELD_OUT, Measured


def held_out(trained: Trained, folder: Path) -> tuple[Measured | None, list[Diagnostic]]:
    """Return what the run in a folder comes to on all that it holds out, in float32, or what is wrong with its data."""
    if not (folder / DATA / data.MANIFEST).is_file():
        message = f"`{folder}` has no examples of its own"
        help_ = "an imported run has none: name a text to score"
        return None, [Diagnostic("R842", message, label="nothing held out", help=help_)]
    task, problems = objectives.bind(trained.train, trained.signature)
    if task is None:
        return None, [each for _, each in problems]
    try:
        made = data.reopen(folder / DATA)
        task.open(made)
        task.begin(trained.model, made, folder, fresh=False)
    except data.Damaged as damage:
        return None, [damage.diagnostic]
    rows = max(trained.train.batch, MEASURED_TOKENS // (trained.train.context or 1))
    places = order.held_out(task.examples(made.held_out, HELD_OUT), rows, None, 1)
    with torch.no_grad():
        return task.measure(trained.scored, (task.batch(made.held_out, each) for each in places), Processes()), []
