"""The sums of a run's own files: each checkpoint keeps them, and they are compared when the run is opened again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tfdsl.data.prepare import MANIFEST
from tfdsl.diagnostics import Diagnostic
from tfdsl.training.checkpoint import digest
from tfdsl.training.folder import FOREIGN
from tfdsl.training.prepare import DATA, SETTINGS, SPEC, TOKENIZER

KEY = "files"  # of a checkpoint's state
EXAMPLES = f"{DATA}/{MANIFEST}"  # which holds the sums of the examples in turn
FREE = ("device", "threads", "parallel", "recompute", "compile", "memory", "report", "checkpoint")  # change no step
READ = (SPEC, SETTINGS, TOKENIZER, FOREIGN)  # what is read when a run is asked


def of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by which a run is what it is, by its name in the run's folder.

    Of the settings it is that of those which say what is trained: a machine with other devices may take the run up.
    """
    return {name: _sum(folder / name) for name in (*READ, EXAMPLES) if (folder / name).is_file()}


def _sum(path: Path) -> str:
    if path.name != SETTINGS:
        return digest(path)
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        train = {name: each for name, each in said["train"].items() if name not in FREE}
        return hashlib.sha256(json.dumps([said["model"], train], sort_keys=True).encode()).hexdigest()
    except (ValueError, KeyError, TypeError, AttributeError):
        return digest(path)


def opened(folder: Path, state: Mapping[str, Any]) -> list[Diagnostic]:
    """Say which files of a run are not as it left them, by the state of a checkpoint.

    Another tokenizer gives the tokens another meaning: that is an error (R882), all else a warning (W633).
    """
    found: list[Diagnostic] = []
    for name, fault in _changed(folder, state, READ):
        if name == TOKENIZER:
            help_ = "put it back as it was: with another one, the model's tokens are other words"
            found.append(Diagnostic("R882", fault, label="changed", help=help_))
        else:
            help_ = f"what was trained is another one: put it back, or train anew: tfdsl train {folder / SPEC}"
            found.append(Diagnostic("W633", fault, label="changed", help=help_))
    return found


def taken_up(folder: Path, state: Mapping[str, Any]) -> list[Diagnostic]:
    """Say which files keep a run from being taken up: it would go on as a mixture of two."""
    help_ = "nothing was done; put it back as it was. Or begin another run, with this one's weights: tfdsl train "
    help_ += f"{folder / SPEC} --from {folder} -o OTHER"
    again = "nothing was done; put it back as it was: with another one, the model's tokens are other words"
    return [
        Diagnostic("R882", fault, label="changed", help=again if name == TOKENIZER else help_)
        for name, fault in _changed(folder, state, (*READ, EXAMPLES))
    ]


def _changed(folder: Path, state: Mapping[str, Any], names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the files that are not as a checkpoint knows them, and what is wrong; one of an older run knows none."""
    kept: Mapping[str, str] = state.get(KEY) or {}
    found: list[tuple[str, str]] = []
    for name in names:
        path = folder / name
        if name not in kept:
            continue
        if not path.is_file():
            found.append((name, f"`{path}` is missing"))
        elif _sum(path) != kept[name]:
            found.append((name, f"`{path}` was changed: its SHA-256 is not the one that the run's checkpoint holds"))
    return found
