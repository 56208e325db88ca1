"""The manifest of prepared data: how the columns lie, the SHA-256 sum of each file, and what they were made from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from tfdsl import disk
from tfdsl.data import columns
from tfdsl.data.columns import Layout
from tfdsl.data.plan import Plan
from tfdsl.data.table import Prepared
from tfdsl.diagnostics import Diagnostic

NAME, TOKENIZER = "manifest.json", "tokenizer.json"
FORMAT = "tfdsl data 1"
SUM = "sha256"  # of all else that a manifest says
PARTS = ("train", "held_out")


class Damaged(ValueError):
    """A folder of prepared data is not what its manifest says."""

    @property
    def diagnostic(self) -> Diagnostic:
        """Return what to say of it."""
        help_ = "nothing of it was used; copy it again from where it is whole, or begin anew (`tfdsl prepare`, `train`)"
        return Diagnostic("R748", str(self), label="damaged", help=help_)


def seal(folder: Path, plan: Plan, layouts: Mapping[str, Mapping[str, Layout]]) -> None:
    """Write the tokenizer and the manifest of the tables that were written in `folder`."""
    learnt = plan.learnt
    if learnt.tokenizer is not None:
        disk.put(folder / TOKENIZER, learnt.tokenizer.to_str())
    files = [folder / TOKENIZER] if learnt.tokenizer is not None else []
    for part in PARTS:
        files += columns.paths(folder / part, layouts[part])
    content = {
        "format": FORMAT,
        **{part: {name: asdict(layout) for name, layout in layouts[part].items()} for part in PARTS},
        "labels": {name: list(names) for name, names in learnt.labels.items()},
        "whole": plan.asked.wanted.whole,
        "tokenizer": learnt.setting,
        "files": {path.relative_to(folder).as_posix(): summed(path) for path in files},
        "sources": [
            {"path": str(path), **summed(path)}
            for source in (plan.train, plan.held_out)
            if source is not None
            for path in source.files()
        ],
    }
    disk.put(folder / NAME, json.dumps({**content, SUM: _own(content)}, indent=1) + "\n")


def summed(path: Path) -> dict[str, Any]:
    """Return the length and the SHA-256 sum of a file."""
    with path.open("rb") as file:
        return {"bytes": os.fstat(file.fileno()).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def holds(folder: Path) -> bool:
    """Return whether a folder is one of prepared data."""
    if not (folder / NAME).is_file():
        return False
    if all((folder / part).is_dir() for part in PARTS):
        return True
    try:  # the folder of a page or of a program may have one too
        with (folder / NAME).open("rb") as file:
            return FORMAT.encode() in file.read(200)
    except OSError:
        return False


def opened(folder: Path) -> Prepared:
    """Return the data in a folder, every file compared with its sum; raises Damaged."""
    content = read(folder)
    try:
        return _followed(folder, content) if "at" in content else _whole(folder, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, Damaged):
            raise
        raise Damaged(f"`{folder / NAME}` is no whole manifest of prepared data") from None
    except OSError as error:
        raise Damaged(f"`{error.filename or folder}` cannot be read: {error.strerror}") from None


def _whole(folder: Path, content: Mapping[str, Any]) -> Prepared:
    """Return the data that a manifest tells of; raises Damaged, and what a manifest may make that is none."""
    for name, told in content["files"].items():
        path = folder / name
        if not path.is_file():
            raise Damaged(f"`{path}` is missing")
        if path.stat().st_size != told["bytes"]:
            raise Damaged(f"`{path}` has {path.stat().st_size:,} bytes where the manifest says {told['bytes']:,}")
        if summed(path)["sha256"] != told["sha256"]:
            raise Damaged(f"`{path}` is not what was written: its SHA-256 sum is another")
    tables = {
        part: columns.opened(folder / part, {name: Layout.of(told) for name, told in content[part].items()})
        for part in PARTS
    }
    tokenizer = folder / TOKENIZER
    labels = next(iter(content["labels"].values()), [])
    return Prepared(
        tables["train"],
        tables["held_out"],
        Tokenizer.from_file(str(tokenizer)) if TOKENIZER in content["files"] else None,
        tuple(labels),
        digest(content),
    )


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder; raises Damaged."""
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except OSError as error:
        raise Damaged(f"`{folder / NAME}` cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Damaged(f"`{folder / NAME}` is no manifest of prepared data") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Damaged(f"`{folder / NAME}` is no manifest of prepared data")
    if SUM in content and content[SUM] != _own(content):  # an older one has none
        raise Damaged(f"`{folder / NAME}` is not what was written: its SHA-256 sum is another")
    return content


def _own(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 sum of what a manifest says, but for that sum."""
    told = {key: value for key, value in content.items() if key != SUM}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 sum of all that the tables hold."""
    told = {key: content[key] for key in (*PARTS, "labels", "whole", "files")}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _followed(folder: Path, content: Mapping[str, Any]) -> Prepared:
    """Return the data that a folder points to, where they are still the same; raises Damaged."""
    if "at" in read(Path(content["at"])):
        raise Damaged(f"`{content['at']}` holds no data itself")
    found = opened(Path(content["at"]))
    if found.digest != content["digest"]:
        raise Damaged(f"`{content['at']}` holds other data than those that the run in `{folder.parent}` began with")
    return found


def point(folder: Path, at: Path, told: str) -> None:
    """Let `folder` stand for the data in the folder `at`, whose digest is `told`."""
    disk.make(folder)
    content = {"format": FORMAT, "at": str(at.resolve()), "digest": told}
    disk.write(folder / NAME, json.dumps({**content, SUM: _own(content)}, indent=1) + "\n")
