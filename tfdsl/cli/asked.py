"""What commands that ask a run have in common: the run opened, what it is asked about, what is said of that."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfdsl import disk, report
from tfdsl.cli.output import Stop, coloured, refuse, remark
from tfdsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from tfdsl.reading.examples import Example
    from tfdsl.reading.trained import Trained
    from tfdsl.run import Run


TOLD = 5  # lines that are told one by one


def opened(folder: str, last: bool = False) -> Run:
    """Open the run in a folder at its best weights, or its `last`; end the command where there is none."""
    path = Path(folder)
    if path.is_file():
        refuse(f"`{folder}` is a file, and a run is a folder: tfdsl train {folder}, then name the folder that it makes")
    if not path.is_dir():
        refuse(f"there is no folder `{folder}`. `tfdsl train` makes one, such as runs/gpt")
    from tfdsl.run import open_run

    gc.set_threshold(700, 10, 10)  # as Python has it: there may be much text
    run, found = open_run(path, best=not last)
    show(found)
    if run is None:
        raise Stop(code=1)
    return run


def tell(found: Sequence[Diagnostic]) -> None:
    """Show diagnostics beside the output."""
    if found:
        remark(report.render(found, {}, coloured(sys.stderr)).rstrip("\n"))


def show(found: Sequence[Diagnostic]) -> None:
    """Show diagnostics beside the output; end the command where one is an error."""
    if not sound(found):
        raise Stop(code=1)


def sound(found: Sequence[Diagnostic]) -> bool:
    """Show diagnostics beside the output; return whether none is an error."""
    tell(found)
    return all(each.severity != "error" for each in found)


def texts(given: Iterable[str], files: Sequence[str] = (), field: str = "text") -> tuple[list[str], bool]:
    """Return the texts of the arguments and of files, and whether all of those could be read.

    They are of standard input where there are none, and for `-`.
    """
    named, found, whole = [(each, each == "-") for each in given], list[str](), True
    for name, holds in [*named, *((file, True) for file in files or (() if named else ("-",)))]:
        if not holds:
            found.append(name)
            continue
        held, read = lines(name, (field,))
        found += [text for (text,) in held]
        whole = whole and read
    if not found:
        if not whole:
            raise Stop(code=1)
        refuse("there is no text to read: give one, a --file, or some on standard input")
    return found, whole


class Heap:
    """What is asked of a model, `found` for it, and whether all that was named could be read."""

    def __init__(self) -> None:
        self.found: list[Example] = []
        self.whole = True

    def add(self, given: tuple[list[Example], list[Diagnostic]]) -> None:
        """Add examples, and show what is wrong with others."""
        self.found += given[0]
        self.whole = sound(given[1]) and self.whole


def examples(
    trained: Trained, given: Sequence[str], files: Sequence[str], second: str | None = None
) -> tuple[list[Example], bool]:
    """Return what the arguments and files hold for a model, and whether all of it could be read.

    It is texts, or images where the model takes them.
    """
    if second is not None and not trained.signature.texts():
        refuse("--second is the second of a pair of texts, and the model reads images")
    if second is not None and (len(given) != 1 or given[0] == "-"):
        refuse("--second is the second of one pair of texts: give one text before it")
    heap = Heap()
    for each in given:
        _one(trained, each, second, heap)
    for file in files or (() if given else ("-",)):
        _from(trained, file, heap)
    if not heap.found:
        if not heap.whole:
            raise Stop(code=1)
        refuse("there is nothing to read: give a text, or a --file that holds some")
    return heap.found, heap.whole


def _one(trained: Trained, given: str, second: str | None, heap: Heap) -> None:
    """Add what an argument is: a text, or the path of images for a model that takes them."""
    from tfdsl.reading import examples as read

    words = bool(trained.signature.texts())
    if given == "-":
        _from(trained, given, heap)
    elif words and not (_both(trained) and read.is_picture(given)):
        _named(given)
        heap.add(read.of([given if second is None else (given, second)], "text"))
    else:
        heap.add(read.images(Path(given)))


def _named(given: str) -> None:
    """Tell that a text is the name of something, which is not read; refuse where that is an image."""
    from tfdsl.reading import examples as read

    if is_file(given) and read.is_picture(given):
        refuse(f"`{given}` is an image, and the model reads texts")
    if is_file(given):
        remark(f"`{given}` is a file, and these words themselves are read: --file reads what it holds")


def is_file(name: str) -> bool:
    """Return whether words on the command line are the name of a file."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # a long text is no name
        return False


def is_folder(name: str) -> bool:
    """Return whether words on the command line are the name of a folder."""
    try:
        return bool(name) and Path(name).is_dir()
    except (OSError, ValueError):
        return False


def pictured(trained: Trained, mean: Sequence[float], deviation: Sequence[float], size: int | None) -> Trained:
    """Return a model that reads images as the options say; end the command where they say it of one of texts."""
    if (mean or deviation or size is not None) and trained.signature.texts() and not _both(trained):
        refuse("--mean, --deviation and --size say how images are read, and the model reads texts")
    return trained.pictured(mean, deviation, size)


def _from(trained: Trained, file: str, heap: Heap) -> None:
    """Add what a file, a folder or standard input (`-`) holds."""
    from tfdsl.reading import examples as read

    if file == "-":
        if not trained.signature.texts():
            refuse("name an image, or a folder of images")
        found, whole = texts(())
        heap.add(([read.Example(text, text) for text in found], []))
        heap.whole = heap.whole and whole
        return
    pictures = not trained.signature.texts() or (_both(trained) and Path(file).is_dir())
    heap.add(read.file(file, read.IMAGES if pictures else read.TEXTS, trained))


def _both(trained: Trained) -> bool:
    from tfdsl.reading import sides

    return bool(trained.signature.texts()) and sides.image(trained.signature) is not None


def whole(file: str) -> str:
    """Return the text of a file, or of standard input (`-`)."""
    if file == "-" and sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  (the shell closed it: `<&-`)
        refuse("standard input is closed, so nothing can be read from it")
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode()
    except UnicodeDecodeError as error:
        name = "standard input" if file == "-" else f"`{file}`"
        refuse(f"{name} is not UTF-8 text (byte {error.start:,})")
    except (OSError, ValueError) as error:
        refuse(f"cannot read `{file}`: {disk.reason(error)}")


def lines(file: str, fields: tuple[str, ...]) -> tuple[list[tuple[str, ...]], bool]:
    """Return the texts of a file or of standard input (`-`), and whether each of its lines could be read.

    They are one a line, or the `fields` of each line of JSON lines; a line that is none is told, and left out.
    """
    kept = [(number, line) for number, line in enumerate(whole(file).split("\n"), 1) if line.strip()]
    if Path(file).suffix not in (".jsonl", ".ndjson"):
        if len(fields) > 1:
            names = " and ".join(f"`{each}`" for each in fields)
            refuse(f"`{file}` is to be JSON lines with {names} (a name in .jsonl)")
        return [(line.rstrip("\r"),) for _, line in kept], True
    read = [(number, _record(line, fields)) for number, line in kept]
    wrong = [f"line {number:,} of `{file}` {each}" for number, each in read if isinstance(each, str)]
    for each in wrong[:TOLD]:
        remark(f"tfdsl: {each}, and is left out")
    if len(wrong) > TOLD:
        remark(f"tfdsl: so are {len(wrong) - TOLD:,} more")
    return [each for _, each in read if not isinstance(each, str)], not wrong


def _record(line: str, fields: tuple[str, ...]) -> tuple[str, ...] | str:
    """Return the fields of a line of JSON lines, or what is wrong with it."""
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return "is not JSON"
    if not isinstance(value, dict) or any(not isinstance(value.get(each), str) for each in fields):
        return f"is no mapping with a text as {' and '.join(f'`{each}`' for each in fields)}"
    return tuple(value[each] for each in fields)
