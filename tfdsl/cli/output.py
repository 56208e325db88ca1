"""What commands write: text to the terminal, and files that are whole or not there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn, TextIO

import click

from tfdsl import disk


class Stop(Exception):
    """The end of a command that cannot go on; `message` is for the user, `code` is the exit code."""

    def __init__(self, message: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.message, self.code = message, code


def say(text: str = "", end: str = "\n") -> None:
    """Write a line to standard output."""
    click.echo(text + end, nl=False, color=True)  # `coloured` has decided


def remark(text: str) -> None:
    """Write a line to standard error, beside the output."""
    click.echo(text, err=True, color=True)


def refuse(message: str, code: int = 2) -> NoReturn:
    """End the command: what it was asked for cannot be done."""
    raise Stop(message, code)


def coloured(stream: TextIO | None = None) -> bool:
    """Return whether a stream (standard output, if none is given) is a terminal that wants colours."""
    stream = stream or sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or stream is None:
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def write(path: str, data: str | bytes, overwrite: bool = True) -> None:
    """Write a file at once (a reader sees the old one or the new one), or standard output for `-`."""
    raw = data.encode() if isinstance(data, str) else data
    if path == "-":
        if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  (the shell closed it: `>&-`)
            refuse("standard output is closed, so nothing can be written to it")
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
        return
    target = Path(path)
    try:
        if target.is_dir():
            refuse(f"cannot write `{path}`: it is a folder. Name a file in it, such as {target / 'out'}")
        if target.exists() and not overwrite:
            refuse(f"`{path}` is already there, and is left as it is. Name another file, or remove that one first")
        disk.write(target, raw)
    except FileNotFoundError:
        if target.parent.is_dir():
            refuse(f"cannot write `{path}`: `{target.parent}` takes no files")
        refuse(
            f"cannot write `{path}`: the folder `{target.parent}` is not there. Make it first: mkdir -p {target.parent}"
        )
    except (OSError, ValueError) as error:
        refuse(f"cannot write `{path}`: {disk.reason(error)}")
