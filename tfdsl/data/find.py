"""Find the source that a setting names: a file or a folder by what it holds, or a built-in set by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tfdsl import settings
from tfdsl.data import arrow, built_in, chat, delimited, lines, pictures, text
from tfdsl.data.absent import Absent
from tfdsl.data.arrays import Arrays
from tfdsl.data.source import Found, Joined, Source
from tfdsl.diagnostics import Diagnostic, suggest
from tfdsl.parts import one_of

JSON = frozenset({".jsonl", ".ndjson"})
Opener = Callable[[Sequence[Path]], Source]


def find(data: settings.Data, source: str | None = None) -> Found:
    """Return the source that the settings name (or `source` in place of theirs), or what stands in the way.

    The name of a built-in set is that set everywhere; a file or folder of that name is `./digits`.
    """
    name = data.source if source is None else source
    path = Path(name)
    try:
        if name in built_in.SETS:
            found = Found(built_in.SETS[name](data.size, data.seed))
        elif path.is_dir():
            found = _folder(path, data)
        elif path.is_file():
            found = _file(path, data, source is None)
        else:
            return Found(None, problems=(_nothing(name),))
    except Absent as absent:
        return Found(None, problems=(absent.diagnostic,))
    except (arrow.Unreadable, lines.Broken) as error:
        return Found(None, problems=(error.diagnostic,))
    except OSError as error:
        return Found(None, problems=(Diagnostic("R703", f"`{name}` cannot be read: {error.strerror}"),))
    problems = found.problems
    if not problems and found.source is not None and not found.source.count:
        problems = (_empty(name, path, data, found.source),)
    if problems or found.source is None:
        return Found(None, problems=problems)
    return Found(chat.of(found.source), found.held_out and chat.of(found.held_out))


def _file(path: Path, data: settings.Data, lone: bool) -> Found:
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return Found(lines.Lines(path))
        case ".json":
            return Found(lines.listed(path) if lines.is_list(path) else lines.Lines(path))
        case ".csv" | ".tsv" | ".tab":
            return Found(delimited.Delimited(path))
        case ".parquet" | ".arrow":
            return Found(arrow.Arrow(str(path), [path]))
        case ".npy":
            return Found(Arrays(str(path), [path]))
        case _:
            return Found(text.Text([path], data.held_out if lone and isinstance(data.held_out, float) else None))


def _folder(path: Path, data: settings.Data) -> Found:
    """Return what a folder holds: of several kinds of file, tables before images before text."""
    if arrow.is_dataset(path):
        return Found(*arrow.dataset(path))
    paths = text.within(path, data.files)
    openers: tuple[tuple[frozenset[str], Opener], ...] = (
        (frozenset({".parquet"}), lambda some: arrow.Arrow(str(path), some)),
        (frozenset({".arrow"}), lambda some: arrow.Arrow(str(path), some)),
        (JSON, lambda some: Joined([lines.Lines(each) for each in some])),
        (delimited.SUFFIXES, lambda some: Joined([delimited.Delimited(each) for each in some])),
        (frozenset({".npy"}), lambda some: Arrays(str(path), some)),
    )
    for suffixes, opened in openers:
        some = [each for each in paths if each.suffix.lower() in suffixes]
        if some:
            return _parted(path, some, opened)
    some = [each for each in paths if each.suffix.lower() in pictures.SUFFIXES]
    if len(some) * 2 > len(paths):
        return _images(path, some)
    return Found(text.Text(paths, data.held_out if isinstance(data.held_out, float) else None))


def _parted(root: Path, paths: list[Path], opened: Opener) -> Found:
    """Open files of which some may be named as parts: `train-00000-of-00002.parquet`, `validation.jsonl`."""
    parts: dict[str, list[Path]] = {}
    for path in paths:
        named = re.match(rf"({'|'.join((arrow.TRAIN, *arrow.HELD_OUT))})(?![a-z])", path.relative_to(root).as_posix())
        named = named or re.match(rf"({'|'.join((arrow.TRAIN, *arrow.HELD_OUT))})(?![a-z])", path.name)
        parts.setdefault(named[1] if named else "", []).append(path)
    held_out = next((name for name in arrow.HELD_OUT if name in parts), None)
    if arrow.TRAIN not in parts or held_out is None or "" in parts:
        return Found(opened(paths))
    return Found(opened(parts[arrow.TRAIN]), opened(parts[held_out]))


def _images(root: Path, paths: list[Path]) -> Found:
    """Open a folder of images; one that has `train` and `validation` or `test` in it holds out the latter."""
    held_out = next((name for name in arrow.HELD_OUT if (root / name).is_dir()), None)
    if held_out is None or not (root / arrow.TRAIN).is_dir():
        return Found(pictures.Pictures(root, paths))
    both = [root / arrow.TRAIN, root / held_out]
    train, apart = (pictures.Pictures(each, [path for path in paths if each in path.parents]) for each in both)
    return Found(train, apart)


def _nothing(name: str) -> Diagnostic:
    near = suggest(name, built_in.SETS)
    help_ = f"give a file, a folder, or one of the built-in sets: {one_of(built_in.SETS)}"
    help_ += f"; did you mean `{near}`?" if near else ""
    return Diagnostic("R702", f"there is nothing at `{name}`", label="no such file or folder", help=help_)


def _empty(name: str, path: Path, data: settings.Data, source: Source) -> Diagnostic:
    what = f"`{name}` holds no {'text' if isinstance(source, text.Text) else 'examples'}" + (
        f" in files like `{data.files}`" if path.is_dir() else ""
    )
    return Diagnostic("R702", what, label="nothing to train on")


def unheeded(data: settings.Data) -> list[tuple[str, Diagnostic]]:
    """Refuse settings that the source does nothing with, each with its place."""
    name, path = data.source, Path(data.source)
    made = name in built_in.SETS
    given = {field for field in ("files", "size", "seed") if field in data.model_fields_set}
    kind = "a built-in set" if made else "a folder" if path.is_dir() else "a file"
    wrong = given & ({"files"} if made else {"size", "seed"} if path.is_dir() else {"files", "size", "seed"})
    if made and name in built_in.FIXED and "seed" in given:
        wrong, kind = wrong | {"seed"}, "what is not drawn"
    about = {"files": "chooses among the files of a folder", "size": "says how much a built-in set makes",
             "seed": "is what a built-in set is drawn from"}  # fmt: skip
    return [
        (
            f"train.data.{field}",
            Diagnostic("R755", f"`{field}` {about[field]}: `{name}` is {kind}", label="does nothing here"),
        )
        for field in sorted(wrong)
        if getattr(data, field) != type(data).model_fields[field].default
    ]
