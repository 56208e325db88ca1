"""Everything that is written: whole or not there, and on the disk when a call returns."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import BinaryIO

Data = str | bytes | Iterable[bytes | memoryview]
BUFFERED = 1 << 20  # bytes that are written together
PART = ".part"  # the ending of what is not whole yet
SAID = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk space that you may use is used up",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk failed",
}


class System:
    """What the file system is asked to do: the one place where it is, so that a test can stand in for it."""

    def open(self, path: Path, mode: str) -> BinaryIO:
        """Open a file to write (`wb`, `xb`, `ab`)."""
        return path.open(mode, BUFFERED)  # type: ignore[return-value]

    def sync(self, path: Path) -> None:
        """Have the disk hold what a file holds, or the names that a folder holds."""
        if os.name == "nt":
            return  # a folder cannot be opened there
        handle = os.open(path, os.O_RDONLY)
        try:
            if sys.platform == "darwin":
                import fcntl

                fcntl.fcntl(handle, fcntl.F_FULLFSYNC)  # its fsync stops at the drive's own memory
            else:
                os.fsync(handle)
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file (which may replace another) or a folder another name."""
        os.replace(old, new)  # noqa: PTH105  (Path.replace makes a Path that nothing reads)

    def mkdir(self, path: Path) -> None:
        """Make a folder."""
        path.mkdir()

    def remove(self, path: Path) -> None:
        """Remove a file, a link or an empty folder."""
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


system = System()


def write(path: Path, data: Data) -> None:
    """Write a file: whoever looks, now or after a power loss, sees the old one or the new one, whole.

    A link stays one, a device is written to, and a file keeps its mode. Raises OSError; the old file is then as it was.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # /dev/null, a named pipe: nothing to replace
        with system.open(target, "wb") as file:
            _pour(file, data)
        return
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    aside = target.with_name(f".{target.name[:60]}.{os.urandom(4).hex()}{PART}")
    try:
        with system.open(aside, "xb") as file:
            _pour(file, data)
        if mode is not None:
            aside.chmod(mode)
        system.sync(aside)
        system.rename(aside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            system.remove(aside)
        raise
    system.sync(target.parent)


def put(path: Path, data: Data) -> None:
    """Write a file in a folder that is not in its place yet: `folder` has the disk hold it, with all the others."""
    with system.open(path, "wb") as file:
        _pour(file, data)


def opened(path: Path, more: bool = False) -> BinaryIO:
    """Open a file to write piece by piece (with `more`, behind what it holds); the disk holds it after `hold`."""
    return system.open(path, "ab" if more else "wb")


def hold(folder: Path) -> None:
    """Have the disk hold a folder with all that is in it."""
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):  # what a folder holds comes before the folder
        system.sync(path)


def append(path: Path, text: str, sync: bool = False) -> None:
    """Write `text` behind what a file holds; with `sync`, the disk holds it when this returns.

    Others see it at once. A power loss before the next `sync` may take it, or a part of it, away.
    """
    new = sync and not path.exists()
    with system.open(path, "ab") as file:
        file.write(text.encode())
    if sync:
        system.sync(path)
    if new:
        system.sync(path.parent)


@contextlib.contextmanager
def folder(final: Path) -> Generator[Path]:
    """Give an empty folder to fill, which gets its name when it is whole and on the disk; where that fails, none is.

    Its parents are made. Raises OSError, also where `final` is there and not empty.
    """
    make(final.parent)
    aside = part(final)
    clear(aside)
    system.mkdir(aside)
    try:
        yield aside
        settle(aside, final)
    except BaseException:
        with contextlib.suppress(OSError):
            clear(aside)
        raise


def settle(aside: Path, final: Path) -> None:
    """Have the disk hold all that is in `aside`, then give it its name."""
    hold(aside)
    system.rename(aside, final)
    system.sync(final.parent)


def part(final: Path) -> Path:
    """Return the name of a folder while it is not whole."""
    return final.with_name(f".{final.name}{PART}")


def make(path: Path) -> None:
    """Make a folder and those above it that are not there, so that a power loss leaves them there."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was faster
            system.mkdir(each)
        system.sync(each.parent)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def secret(path: Path, made: bytes) -> bytes:
    """Return what a file holds that its owner alone can read; where it is not there, it holds `made` from now on.

    Of several processes that make it at once, all get what the first one made. Raises OSError.
    """
    if not path.exists():
        make(path.parent)
        aside = path.with_name(f".{path.name}.{os.getpid()}{PART}")
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT, 0o600))
        try:
            put(aside, made)
            system.sync(aside)
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(aside, path)
        finally:
            system.remove(aside)
        system.sync(path.parent)
    return path.read_bytes()


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it: it loses its name first, so that no half of it is ever seen."""
    if not path.is_dir():
        system.remove(path)
        system.sync(path.parent)
        return
    aside = part(path)
    clear(aside)
    system.rename(path, aside)
    system.sync(path.parent)
    clear(aside)


def clear(path: Path) -> None:
    """Remove a folder that is not whole, if it is there."""
    if not path.exists():
        return
    for each in sorted(path.rglob("*"), reverse=True):
        system.remove(each)
    system.remove(path)


def reason(error: OSError | ValueError) -> str:
    """Return what is wrong in words, in lower case and without numbers: `the disk is full`."""
    if isinstance(error, OSError) and error.errno in SAID:
        return SAID[error.errno]
    said = error.strerror if isinstance(error, OSError) else str(error)
    return (said or str(error)).lower()


def _pour(file: BinaryIO, data: Data) -> None:
    if isinstance(data, str | bytes):
        file.write(data.encode() if isinstance(data, str) else data)
        return
    for piece in data:
        file.write(piece)
