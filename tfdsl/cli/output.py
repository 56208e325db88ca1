"""What commands write: text to the terminal, and files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import NoReturn, TextIO

import click


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
        _write(Path(os.path.realpath(target)), raw)
    except FileNotFoundError:
        if target.parent.is_dir():
            refuse(f"cannot write `{path}`: `{target.parent}` takes no files")
        refuse(
            f"cannot write `{path}`: the folder `{target.parent}` is not there. Make it first: mkdir -p {target.parent}"
        )
    except (OSError, ValueError) as error:
        refuse(f"cannot write `{path}`: {reason(error)}")


def reason(error: OSError | ValueError) -> str:
    """Return what the system says is wrong, in lower case and without numbers."""
    said = error.strerror if isinstance(error, OSError) else str(error)
    return (said or str(error)).lower()


def _write(target: Path, raw: bytes) -> None:
    if target.exists() and not target.is_file():  # /dev/null, a named pipe: nothing to replace
        target.write_bytes(raw)
        return
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_mask()
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied")
    import tempfile  # costs a start-up 4 ms, and few commands write

    handle, name = tempfile.mkstemp(prefix=f".{target.name[:60]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
