"""What a folder holds as one source: which of its files are the examples, in which parts, and what is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tfdsl import settings
from tfdsl.data import arrow, delimited, lines, pictures, text
from tfdsl.data.arrays import Arrays
from tfdsl.data.source import Found, Joined, Source
from tfdsl.diagnostics import Diagnostic

JSON = frozenset({".jsonl", ".ndjson"})
TABLES = JSON | delimited.SUFFIXES | arrow.SUFFIXES
KINDS = {"table": "tables", "array": "arrays", "image": "images", "text": "texts"}  # the first goes before the others
ABOUT = re.compile(r"(readme|licen[cs]e|copying|notice|citation|changelog|authors)(?![a-z])", re.IGNORECASE)
PART = re.compile(rf"({'|'.join((arrow.TRAIN, *arrow.HELD_OUT))})(?![a-z])", re.IGNORECASE)
SHOWN = 3  # files that are told by name
Files = Sequence[Path]


class Mixed(ValueError):
    """The files of a folder contradict each other."""

    def __init__(self, message: str, help_: str) -> None:
        super().__init__(message)
        self.help = help_

    @property
    def diagnostic(self) -> Diagnostic:
        """Return what to say of it."""
        return Diagnostic("R756", str(self), label="which are meant?", help=self.help)


def opened(root: Path, data: settings.Data) -> Found:
    """Return what a folder holds; raises Mixed, Unreadable, Broken, Absent and OSError.

    Of several kinds of file, tables go before arrays, those before images, and images before texts, where they are not
    fewer; all tables are read as one. Files whose names say of each which part it is are those parts.
    """
    if arrow.is_dataset(root):
        train, held_out, rest = arrow.dataset(root)
        shown = ", ".join(f"`{name}`" for name in rest)
        what = f"the part {shown} is" if len(rest) == 1 else f"the parts {shown} are"
        help_ = f"a part is a source of its own, such as `{root / rest[0]}`" if rest else ""
        said = Diagnostic("W628", f"of `{root}` {what} not read", label="left out", help=help_)
        return Found(train, held_out, remarks=(said,) if rest else ())
    paths = text.within(root, data.files)
    kind, some, said = _chosen(root, paths)
    if kind == "image":
        return _with(_images(root, some), *said)
    alone = "held_out" in data.model_fields_set
    return _with(_parted(root, some, _opener(kind, root, data), alone, kind == "array"), *said)


def left_out(root: Path, paths: Files, why: str, help_: str = "") -> Diagnostic:
    """Warn of files of a folder that are not read; what to do is to choose others, where `help_` says nothing else."""
    what = "1 file is" if len(paths) == 1 else f"{len(paths):,} files are"
    help_ = help_ or '`train.data.files` chooses which are read: `files: "*.csv"`'
    message = f"of `{root}` {what} not read, as {why}: {named(root, paths)}"
    return Diagnostic("W628", message, label="left out", help=help_)


def named(root: Path, paths: Files) -> str:
    """Return the names of the first few files."""
    shown = [f"`{path.relative_to(root).as_posix()}`" for path in paths[:SHOWN]]
    return ", ".join(shown) + (", …" if len(paths) > SHOWN else "")


def _chosen(root: Path, paths: Files) -> tuple[str, Files, list[Diagnostic]]:
    """Return which kind of file is read, those files, and a word on the others; raises Mixed."""
    about = [path for path in paths if _about(path)]
    groups = _kinds([path for path in paths if path not in set(about)])
    if not any(groups.values()):
        groups, about = {**groups, "text": list(about)}, []
    kind = next((name for name, some in groups.items() if some), "text")
    rest = [path for name, some in groups.items() if name != kind for path in some]
    if len(rest) > len(groups[kind]):
        counted = [_many(name, some) for name, some in groups.items() if some]
        most = max(groups.values(), key=len)
        either = f'`files: "*{groups[kind][0].suffix}"` or `files: "*{most[0].suffix}"`'
        help_ = f"choose with `train.data.files`: {either}"
        raise Mixed(f"`{root}` holds {' and '.join(counted)}: {named(root, [groups[kind][0], *rest])}", help_)
    if kind == "text":  # a page about the data is text too, but for a folder of parts
        return kind, sorted([*groups[kind], *about]), [] if not rest else [left_out(root, rest, "there are texts")]
    why = f"{KINDS[kind]} are" if len(groups[kind]) > 1 else f"{'an' if kind[0] in 'ai' else 'a'} {kind} is"
    left = sorted([*rest, *about])
    return kind, groups[kind], [left_out(root, left, f"{why} there")] if left else []


def _kinds(paths: Files) -> dict[str, list[Path]]:
    """Part files by what they are."""
    groups: dict[str, list[Path]] = {name: [] for name in KINDS}
    lists: list[Path] = []
    for path in paths:
        suffix = path.suffix.lower()
        if suffix == ".json":
            lists.append(path)
        elif suffix in TABLES:
            groups["table"].append(path)
        elif suffix == ".npy":
            groups["array"].append(path)
        else:
            groups["image" if suffix in pictures.SUFFIXES else "text"].append(path)
    for path in lists:  # a `.json` among other files is settings as often as examples
        alone = not groups["array"] and not groups["image"] and not groups["text"]
        groups["table" if lines.is_list(path) or (alone and not groups["table"]) else "text"].append(path)
    return {**groups, "table": sorted(groups["table"]), "text": sorted(groups["text"])}


def _about(path: Path) -> bool:
    """Return whether a file is about the data, by its name: a table is not."""
    return bool(ABOUT.match(path.name)) and path.suffix.lower() in ("", ".md", ".txt", ".rst", ".cff", ".html")


def _many(kind: str, paths: Files) -> str:
    return f"1 {kind}" if len(paths) == 1 else f"{len(paths):,} {KINDS[kind]}"


def _opener(kind: str, root: Path, data: settings.Data) -> Callable[[Files, bool], Found]:
    def whole(paths: Files, lone: bool) -> Found:
        if kind == "table":
            return _joined(root, paths)
        if kind == "array":
            return Found(Arrays(str(root), paths))
        return Found(text.Text(paths, data.held_out if lone and isinstance(data.held_out, float) else None))

    return whole


def _joined(root: Path, paths: Files) -> Found:
    """Open tables as one; those without an example are told."""
    sources = [(path, table(path)) for path in paths]
    empty = [path for path, source in sources if not source.count]
    full = [source for _, source in sources if source.count]
    said = (left_out(root, empty, "it holds no examples" if len(empty) == 1 else "they hold no examples"),)
    if not full:
        return Found(sources[0][1])
    return Found(full[0] if len(full) == 1 else Joined(full), remarks=said if empty else ())


def table(path: Path) -> Source:
    """Return the table in a file; raises Unreadable, Broken, Absent and OSError."""
    suffix = path.suffix.lower()
    if suffix in arrow.SUFFIXES:
        return arrow.Arrow(str(path), [path])
    if suffix in delimited.SUFFIXES:
        return delimited.Delimited(path)
    return lines.listed(path) if suffix == ".json" and lines.is_list(path) else lines.Lines(path)


def _parted(root: Path, paths: Files, open_: Callable[[Files, bool], Found], alone: bool, folders: bool) -> Found:
    """Open files that are all named as parts as those: `train-00000-of-00002.parquet`, `validation.jsonl`.

    Pages about the data do not count. `alone` says that the part to train on is all that will be read; with `folders`
    the names of folders alone say what is which part.
    """
    parts: dict[str, list[Path]] = {}
    for path in paths:
        parts.setdefault(_part(path.relative_to(root), folders), []).append(path)
    apart, train = [name for name in arrow.HELD_OUT if name in parts], parts.get(arrow.TRAIN)
    about = parts.get("", [])
    if train is None or not apart or not all(_about(path) for path in about):
        found = open_(paths, True)
        return found if train is None or not apart else _with(found, _mistaken(root, parts, apart))
    held_out, *rest = apart
    one, other = open_(train, alone), open_(parts[held_out], False)
    unread = [*about, *(path for name in rest for path in parts[name])]
    help_ = "a part is a source of its own, and a folder too: `train.data.held_out` names another one"
    said = [left_out(root, unread, f"`{held_out}` is held out", help_)] if unread else []
    return _with(Found(one.source, other.source, remarks=(*one.remarks, *other.remarks)), *said)


def _with(found: Found, *said: Diagnostic) -> Found:
    return Found(found.source, found.held_out, found.problems, (*said, *found.remarks))


def _part(path: Path, folders: bool) -> str:
    """Return the part that a name says, of a folder or of the file, or nothing."""
    names = path.parts[:-1] if folders else path.parts
    return next((found[1].lower() for name in names if (found := PART.match(name))), "")


def _mistaken(root: Path, parts: Mapping[str, Files], apart: Sequence[str]) -> Diagnostic:
    """Warn of files that are named as parts among others that are not, which are all read."""
    first = parts[apart[0]][0].relative_to(root).as_posix()
    other = parts[""][0].relative_to(root).as_posix()
    message = f"`{first}` of `{root}` is an example like the others: `{other}` is named as no part"
    help_ = f"where all files are named `{arrow.TRAIN}…` or `{apart[0]}…`, the latter are held out"
    return Diagnostic("W629", message, label="also trained on", help=help_)


def _images(root: Path, paths: Files) -> Found:
    """Open a folder of images; one that has `train` and `validation` or `test` in it holds out the latter."""
    parts: dict[str, list[Path]] = {}
    for path in paths:
        first = path.relative_to(root).parts[0].lower()
        parts.setdefault(first if path.parent != root else "", []).append(path)
    apart = [name for name in arrow.HELD_OUT if name in parts]
    if arrow.TRAIN not in parts or not apart:
        return _classes(root, paths)
    held_out = apart[0]
    unread = [path for name, some in parts.items() if name not in (arrow.TRAIN, held_out) for path in some]
    both = [parts[arrow.TRAIN], parts[held_out]]
    one, other = (_classes(root / some[0].relative_to(root).parts[0], some) for some in both)
    said = [left_out(root, unread, f"`{arrow.TRAIN}` and `{held_out}` are there")] if unread else []
    return _with(Found(one.source, other.source, remarks=(*one.remarks, *other.remarks)), *said)


def _classes(root: Path, paths: Files) -> Found:
    """Open images whose folders are their classes, all or none; a folder without one is told. Raises Mixed."""
    bare = [path for path in paths if path.parent == root]
    if bare and len(bare) < len(paths):
        message = f"{_many('image', bare)} of `{root}` {'is' if len(bare) == 1 else 'are'} in no folder of a class"
        raise Mixed(f"{message}: {named(root, bare)}", "put each image into the folder of its class")
    folders = {folder for path in paths for folder in path.parents}
    empty = sorted(path for path in root.iterdir() if path.is_dir() and path not in folders and path.name[0] != ".")
    said: list[Diagnostic] = []
    if empty and not bare:
        what = "1 folder holds no image and is" if len(empty) == 1 else f"{len(empty):,} folders hold no image and are"
        message = f"of `{root}` {what} no class: {named(root, empty)}"
        said = [Diagnostic("W628", message, label="left out", help="put images into it, or take it away")]
    return Found(pictures.Pictures(root, paths), remarks=tuple(said))
