"""folder: what the files of a run's folder say, or which of them is missing or damaged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from tfdsl import settings
from tfdsl.disk import reason
from tfdsl.training.prepare import SETTINGS, SOURCE, SPEC, TOKENIZER

FOREIGN = "foreign.json"  # what an imported run knows of the checkpoint that it was


class Unfit(ValueError):
    """A file of a run is missing or is not what a run has; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run's folder says beside its weights; `model` is what the settings say of it."""

    spec: str
    source: str
    model: dict[str, Any]
    train: settings.Train
    sample: settings.Sample
    tokenizer: Tokenizer | None
    foreign: dict[str, Any] | None


def kept_in(folder: Path) -> Kept:
    """Return what the files of a run's folder say; raises Unfit."""
    spec, source = (_text(folder / name) for name in (SPEC, SOURCE))
    said = _mapping(folder / SETTINGS)
    model: Any = said.get("model")
    if not isinstance(model, dict) or not {"name", "context"} <= model.keys():
        raise Unfit(f"`{SETTINGS}` does not say what the model is")
    try:
        train = settings.Train.model_validate(said.get("train"))
        sample = settings.Sample.model_validate(said.get("sample"))
    except ValueError as error:
        raise Unfit(f"`{SETTINGS}` is damaged: its settings are none of a run") from error
    foreign = _mapping(folder / FOREIGN) if (folder / FOREIGN).is_file() else None
    if foreign is not None and not isinstance(foreign.get("end"), list):
        raise Unfit(f"`{FOREIGN}` does not say which tokens end a text")
    has = (folder / TOKENIZER).is_file()
    if foreign is None and model.get("vocab") and not has:  # an imported run may have none, and images need none
        raise Unfit(f"`{TOKENIZER}` is missing")
    tokenizer = _tokenizer(folder / TOKENIZER) if has else None
    return Kept(spec, source, model, train, sample, tokenizer, foreign)  # pyright: ignore[reportUnknownArgumentType]


def _text(path: Path) -> str:
    if not path.is_file():
        raise Unfit(f"`{path.name}` is missing")
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unfit(f"`{path.name}` cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise Unfit(f"`{path.name}` is damaged: it is not UTF-8 text") from error


def _mapping(path: Path) -> dict[str, Any]:
    text = _text(path)
    if not text.strip():
        raise Unfit(f"`{path.name}` is empty")
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unfit(f"`{path.name}` is damaged: it is not JSON") from error
    if not isinstance(found, dict):
        raise Unfit(f"`{path.name}` is damaged: it holds no mapping")
    return found  # pyright: ignore[reportUnknownVariableType]


def _tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(_text(path))
    except Unfit:
        raise
    except Exception as error:  # the library raises the bare class
        raise Unfit(f"`{path.name}` holds no tokenizer: {str(error)[:200]}") from error
