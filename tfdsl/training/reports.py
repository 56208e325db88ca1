"""The log of a run, told to TensorBoard and to Weights & Biases too, where `train.report` asks for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from tfdsl import disk, settings
from tfdsl.diagnostics import Diagnostic
from tfdsl.watching.curves import Entry

NAMES = {"loss": "loss/train", "held_out": "loss/held out", "lr": "lr", "norm": "gradient norm"}
TOLD = ("tokens", "tokens_per_second", "share_of_peak", "waiting")
HOST = ("api.wandb.ai", 443)
PATIENCE = 3.0  # seconds to wait for it


class Sink(Protocol):
    """Something that hears of each entry of a log."""

    def write(self, entry: Entry) -> None:
        """Hear of an entry."""

    def close(self) -> None:
        """Hear that there are no more."""


def missing(train: settings.Train) -> list[Diagnostic]:
    """Say which package is not installed that `train.report` needs."""
    return [
        Diagnostic(
            "R776",
            f"`train.report` asks for `{name}`, which is not installed",
            label="no such package",
            help=f'install it with `pip install {name}`, or both with `pip install "tfdsl[watch]"`',
        )
        for name in train.report
        if not _installed(name)
    ]


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # a module that was put in the place of the package, or None
        return False


def sinks(train: settings.Train, folder: Path, name: str, step: int) -> list[Sink]:
    """Return what `train.report` asks for; of a run that is taken up at `step`, with what it was told before."""
    made = {"tensorboard": TensorBoard, "wandb": Wandb}
    return [made[each](folder, name, train, step) for each in dict.fromkeys(train.report)]


def numbers(entry: Entry) -> dict[str, float]:
    """Return the numbers of an entry by the names that charts have."""
    found: dict[str, float] = {name: entry[key] for key, name in NAMES.items() if entry.get(key) is not None}
    found |= {name.replace("_", " "): entry[name] for name in TOLD if entry.get(name) is not None}
    figures: Mapping[str, float] = entry.get("figures", {})
    return found | {f"held out/{name}": value for name, value in figures.items()}


class TensorBoard:
    """Event files in the run's folder `tensorboard`."""

    def __init__(self, folder: Path, name: str, train: settings.Train, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        where = str(folder / "tensorboard")
        self._writer: Any = cast(Any, SummaryWriter)(where, purge_step=step + 1 if step else None)

    def write(self, entry: Entry) -> None:
        """Add an entry's numbers as scalars."""
        for name, value in numbers(entry).items():
            self._writer.add_scalar(name, value, entry["step"])

    def close(self) -> None:
        """Write out what is left."""
        self._writer.close()


class Wandb:
    """A run of Weights & Biases, the same when it is taken up again; kept in the run's folder where it is offline.

    It is online where somebody is logged in and the network is there, or as the variable WANDB_MODE says.
    """

    def __init__(self, folder: Path, name: str, train: settings.Train, step: int) -> None:
        import wandb

        kept = folder / "wandb-id.txt"
        known = kept.read_text().strip() if kept.is_file() and step else ""
        self._run: Any = cast(Any, wandb).init(
            project=os.environ.get("WANDB_PROJECT", "tfdsl"),
            name=f"{name} {folder.name}",
            dir=str(folder),
            id=known or None,
            resume="allow" if known else None,
            mode=_mode(),
            config=train.model_dump(),
            settings=cast(Any, wandb).Settings(silent=True, console="off"),
        )
        disk.write(kept, f"{self._run.id}\n")

    def write(self, entry: Entry) -> None:
        """Log an entry's numbers at its step."""
        told = numbers(entry)
        if told:
            self._run.log(told, step=entry["step"])

    def close(self) -> None:
        """Write out what is left."""
        self._run.finish()


def _mode() -> str:
    """Return `online` where that is asked for, or can be."""
    chosen = os.environ.get("WANDB_MODE")
    if chosen:
        return chosen
    netrc = Path.home() / ".netrc"
    known = os.environ.get("WANDB_API_KEY") or (netrc.is_file() and HOST[0] in netrc.read_text(errors="replace"))
    return "online" if known and _reached() else "offline"


def _reached() -> bool:
    try:
        socket.create_connection(HOST, PATIENCE).close()
    except OSError:
        return False
    return True
