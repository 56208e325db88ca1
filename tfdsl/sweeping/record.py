"""What a sweep's folder says of the sweep in it: its runs, and whose weights they start from; no other replaces it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfdsl import disk
from tfdsl.diagnostics import Diagnostic
from tfdsl.sweeping import pictures, table

RECORD = "sweep.json"
SHOWN = 4  # runs that are named where more are there
ELSEWHERE = "or choose another folder with `-o`"


def write(folder: Path, names: Sequence[str], start: str | None) -> None:
    """Say in `folder` which runs a sweep is of, before the first one starts; raises OSError."""
    disk.write(folder / RECORD, json.dumps({"runs": list(names), "from": _place(start)}, indent=1) + "\n")


def against(folder: Path, names: Sequence[str], start: str | None) -> list[Diagnostic]:
    """Say what a sweep of the runs `names` would replace in `folder`: the table of others, or files of somebody else.

    A sweep may name more runs than the one before it, whose table it replaces by a longer one.
    """
    if not (folder / RECORD).exists():
        there = [name for name in (*table.NAMES, *pictures.NAMES) if (folder / name).exists()]
        message = f"`{folder / there[0]}` is there, and no sweep wrote it" if there else ""
        help_ = "a sweep leaves its table and its pictures there: choose another folder with `-o`"
        return [Diagnostic("R880", message, label="not overwritten", help=help_)] if there else []
    try:
        said: Any = json.loads((folder / RECORD).read_bytes())
        before, begun = [str(name) for name in said["runs"]], said["from"]
    except (ValueError, TypeError, KeyError):
        message = f"`{folder / RECORD}` is damaged: it does not say which runs are there"
        return [Diagnostic("R880", message, label="not overwritten", help="choose another folder with `-o`")]
    told = (folder / table.NAMES[0]).exists()
    before = [name for name in before if told or (folder / name).is_dir()]
    others = [name for name in before if name not in names]
    if others:
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        message = f"`{folder}` holds runs that this sweep does not name: {'; '.join(others[:SHOWN])}{more}"
        help_ = f"name their values too, so that one table has all, {ELSEWHERE}"
        return [Diagnostic("R880", message, label="not overwritten", help=help_)]
    if before and begun != _place(start):
        whence = f"from the weights of `{begun}`" if begun else "from no other run"
        message = f"the runs in `{folder}` began {whence}, and this sweep's would not"
        help_ = f"give `--from` as before, {ELSEWHERE}"
        return [Diagnostic("R880", message, label="not overwritten", help=help_)]
    return []


def _place(start: str | None) -> str | None:
    """Return the folder of a run under a name that is the same wherever one stands."""
    return None if start is None else str(Path(start).resolve())
