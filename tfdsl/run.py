"""A run folder, opened: its spec, settings, tokenizer and weights, ready to sample from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from torch import nn

from tfdsl import settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.sampling import ready
from tfdsl.training import checkpoint
from tfdsl.training.checkpoint import Checkpoint
from tfdsl.training.prepare import SETTINGS, SOURCE, SPEC, TOKENIZER


@dataclass(frozen=True, slots=True)
class Run:
    """A trained model on disk. `context` is the number of positions that it was trained on."""

    folder: Path
    name: str
    spec: str
    source: str
    train: settings.Train
    sample: settings.Sample
    tokenizer: Tokenizer
    checkpoint: Checkpoint
    context: int

    def model(self, build: Callable[[], nn.Module]) -> nn.Module:
        """Return the module that `build` makes, with the run's weights, ready for inference.

        Raises ValueError where the weights are not that module's.
        """
        module = build()
        checkpoint.fill(module, self.checkpoint.weights())
        return ready(module)


def open_run(folder: Path, *, best: bool = True) -> tuple[Run | None, list[Diagnostic]]:
    """Open a run folder at its best checkpoint (by held-out loss), or at its last; a damaged one is named, not used."""
    needed = [folder / name for name in (SPEC, SOURCE, SETTINGS, TOKENIZER)]
    missing = [path.name for path in needed if not path.is_file()]
    if missing:
        label = f"`{missing[0]}` is missing"
        return None, [Diagnostic("R706", f"`{folder}` is no run folder", label=label, help="`tfdsl train` makes one")]
    whole, damaged = checkpoint.found(folder / "checkpoints")
    said = [Diagnostic("W571", fault, label="left aside") for fault in damaged]
    if not whole:
        return None, [*said, Diagnostic("R706", f"`{folder}` holds no whole checkpoint")]
    wanted = whole[-1].state["best_step"] if best else whole[-1].step
    chosen = next((point for point in whole if point.step == wanted), whole[-1])
    kept = json.loads((folder / SETTINGS).read_text())
    train = settings.Train.model_validate(kept["train"])
    run = Run(
        folder,
        kept["model"]["name"],
        (folder / SPEC).read_text(),
        (folder / SOURCE).read_text(),
        train,
        settings.Sample.model_validate(kept["sample"]),
        Tokenizer.from_file(str(folder / TOKENIZER)),
        chosen,
        train.context or kept["model"]["context"],
    )
    return run, said
