"""YAML text to values, each with the place where it was written."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from tfdsl.diagnostics import Diagnostic, Span, suggest
from tfdsl.source.text import LARGEST, characters, decode, large
from tfdsl.source.tree import read
from tfdsl.source.values import Mapping, Plain, Scalar, Sequence, Tree, Value, find, key_span, merge, plain, scalars

__all__ = [
    "Document",
    "Mapping",
    "Plain",
    "Scalar",
    "Sequence",
    "Tree",
    "Value",
    "find",
    "key_span",
    "load",
    "merge",
    "parse",
    "plain",
    "scalars",
    "take",
]


@dataclass(frozen=True, slots=True)
class Document:
    """A text that was read: its file, characters, value (None where there is none), and what is wrong with it."""

    file: str
    text: str
    value: Value | None
    diagnostics: tuple[Diagnostic, ...]


def parse(text: str | bytes, file: str) -> tuple[Value | None, list[Diagnostic]]:
    """Read one YAML document; return its value (None where there is none to be had) and what is wrong with it."""
    document = take(text, file)
    return document.value, list(document.diagnostics)


def load(path: str | os.PathLike[str]) -> Document:
    """Read the file at `path`; a file that cannot be read gives a document without value that says why."""
    file = os.fspath(path)
    try:
        # Without O_NONBLOCK the opening of a named pipe waits for somebody to write into it.
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        return _unread(file, _reason(file, error))
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            return _unread(file, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
        with os.fdopen(os.dup(handle), "rb") as stream:
            return take(stream.read(LARGEST + 1), file)
    except OSError as error:
        return _unread(file, _reason(file, error))
    finally:
        os.close(handle)


def take(text: str | bytes, file: str) -> Document:
    """Read one YAML document that is in memory already; `file` names it in diagnostics."""
    if isinstance(text, bytes):
        text, found = decode(text, file)
    else:
        text = text.removeprefix("\ufeff")
        size = len(text) if len(text) > LARGEST else len(text.encode("utf-8", "surrogatepass"))
        found = [large(file)] if size > LARGEST else characters(text, file)
    if found:
        return Document(file, text, None, tuple(found))
    value, found = read(text, file)
    return Document(file, text, value, tuple(found))


def _unread(file: str, reason: str) -> Document:
    name = "".join(character if character.isprintable() else "?" for character in file)
    help = ""
    if reason == "there is no such file":
        help = _neighbour(file)
    elif reason == "it is a folder":
        help = _within(file)
    return Document(
        file, "", None, (Diagnostic("Y001", f"cannot read `{name}`: {reason}", Span(file, 1, 1, 1, 1), help=help),)
    )


def _reason(file: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, PermissionError):
        return "permission is denied"
    return (error.strerror or "it cannot be opened").lower() if isinstance(error, OSError) else "this is no file name"


def _within(folder: str) -> str:
    """Say what may be meant by a folder: the spec of the run that it holds, or the run itself."""
    spec = Path(folder) / "spec.yaml"
    if not spec.is_file():
        return ""
    if not (Path(folder) / "checkpoints").is_dir():
        return f"did you mean `{spec}`?"
    again = f"`tfdsl train {folder} --resume` (in Python `tfdsl.resume`) takes the run up again"
    return f"a run's folder: its spec is `{spec}`; {again}"


def _neighbour(file: str) -> str:
    folder = Path(file).parent
    try:
        names = [entry.name for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml")]
    except OSError:
        return f"the folder `{folder}` is not there either" if not folder.exists() else ""
    near = suggest(Path(file).name, names)
    return f"did you mean `{folder / near}`?" if near else ""
