"""packages: compiled steps in a run's folder: each with what it was made for, its sum, and a seal of who made it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfdsl import disk
from tfdsl.diagnostics import Diagnostic

FOLDER = "compiled"
FORMAT = 2


@dataclass(frozen=True, slots=True)
class Purpose:
    """All that a compiled step is made for: it is used where all of it is as it was."""

    source: str  # the text of the model
    weights: str  # their type
    rows: str  # one, few or many
    parted: bool  # whether a row may hold several documents
    torch: str  # its version
    machine: str  # the instructions that the processor has
    threads: int
    how: str  # a sum of the code that made it

    @property
    def key(self) -> str:
        """Return a name for it."""
        text = json.dumps([FORMAT, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Return what it has in common with steps for another spec or machine, whose place it takes."""
        return f"{self.rows}-{self.weights}{'-ragged' if self.parted else ''}"

    def package(self, folder: Path) -> Path:
        """Return where in a run's folder the step is."""
        return folder / FOLDER / f"{self.name}-{self.key}.pt2"

    def others(self, folder: Path) -> list[Path]:
        """Return the steps whose place it takes."""
        found = sorted((folder / FOLDER).glob(f"{self.name}-{'?' * 16}.pt2"))
        return [path for path in found if path != self.package(folder)]


@dataclass(frozen=True, slots=True)
class Kept:
    """A step on disk that is whole and was made here; `form` and `put` are what else its user needs to know of it."""

    path: Path
    form: dict[str, Any]
    put: tuple[int, ...]


def find(folder: Path, purpose: Purpose) -> tuple[Kept | None, list[Diagnostic]]:
    """Return the step for a purpose in a run's folder, if a whole one is there; say what is left aside, and why."""
    path = purpose.package(folder)
    if not path.exists():
        others = purpose.others(folder)
        if not others:
            return None, []
        why = "it was made for another model, torch, processor, number of threads or version of tfdsl"
        return None, [aside(others[-1], why)]
    wrong = ""
    try:
        described = json.loads(path.with_suffix(".json").read_bytes())
        seal, content = str(described["seal"]), dict(described["content"])
        if not hmac.compare_digest(seal, sealed(content)):
            wrong = "it was not made here: compiled code is run for nobody else"
        elif content["sum"] != _sum(path):
            wrong = "it is damaged: its SHA-256 is another than when it was made"
        else:
            return Kept(path, dict(content["form"]), tuple(content["put"])), []
    except (OSError, ValueError, KeyError, TypeError):
        wrong = f"`{path.with_suffix('.json').name}` beside it is missing or damaged"
    return None, [aside(path, wrong)]


def keep(path: Path, form: dict[str, Any], put: list[int]) -> Kept:
    """Describe a step that lies at `path`, so that `find` will know it. Raises OSError."""
    content = {"sum": _sum(path), "form": form, "put": put}
    disk.write(path.with_suffix(".json"), json.dumps({"content": content, "seal": sealed(content)}, indent=1) + "\n")
    return Kept(path, form, tuple(put))


def prune(folder: Path, purpose: Purpose) -> None:
    """Remove the steps for other purposes that `purpose` takes the place of."""
    for path in purpose.others(folder):
        for each in (path.with_suffix(".json"), path):
            if each.exists():
                disk.remove(each)


def sealed(content: dict[str, Any]) -> str:
    """Return the seal of a description, which only this user can make. Raises OSError where no secret can be kept."""
    text = json.dumps(content, sort_keys=True)
    return hmac.new(_secret(), text.encode(), hashlib.sha256).hexdigest()


def _secret() -> bytes:
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return disk.secret(home / "tfdsl" / "seal", secrets.token_bytes(32))


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def aside(path: Path, why: str) -> Diagnostic:
    """Return that a step is left aside."""
    return Diagnostic(
        "W611", f"the compiled step `{path}` is left aside: {why}", help="`tfdsl sample --compile` makes another"
    )
