"""Find the source that a setting names: a file by its kind, a folder, or a built-in set by its name."""

from __future__ import annotations

from pathlib import Path

from tfdsl import settings
from tfdsl.data import arrow, built_in, chat, folders, lines, text
from tfdsl.data.absent import Absent
from tfdsl.data.arrays import Arrays
from tfdsl.data.source import Found, Source
from tfdsl.diagnostics import Diagnostic, suggest
from tfdsl.parts import one_of

FOREIGN = {
    ".npz": "an archive of arrays: write each as a `.npy` file, all into one folder",
    ".xlsx": "a spreadsheet: save it as CSV", ".xls": "a spreadsheet: save it as CSV",
    ".pkl": "a pickle, which could carry code: save its content as JSONL, Parquet or `.npy`",
    ".pt": "a pickle, which could carry code: save its content as `.npy`",
}  # fmt: skip


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
            found = folders.opened(path, data)
        elif path.is_file():
            found = _file(path, data, source is None)
        else:
            return Found(None, problems=(_nothing(name),))
    except Absent as absent:
        return Found(None, problems=(absent.diagnostic,))
    except (arrow.Unreadable, lines.Broken, folders.Mixed) as error:
        return Found(None, problems=(error.diagnostic,))
    except OSError as error:
        which = error.filename or name
        return Found(None, problems=(Diagnostic("R703", f"`{which}` cannot be read: {error.strerror}"),))
    problems = found.problems
    if not problems and found.source is not None and not found.source.count:
        problems = (_empty(name, path, data, found.source),)
    if problems or found.source is None:
        return Found(None, problems=problems)
    return Found(chat.of(found.source), found.held_out and chat.of(found.held_out), remarks=found.remarks)


def _file(path: Path, data: settings.Data, lone: bool) -> Found:
    suffix = path.suffix.lower()
    if suffix in FOREIGN:
        raise arrow.Unreadable(f"`{path}` is {FOREIGN[suffix]}")
    if suffix == ".npy":
        return Found(Arrays(str(path), [path]))
    if suffix in folders.TABLES or suffix == ".json":
        return Found(folders.table(path))
    return Found(text.Text([path], data.held_out if lone and isinstance(data.held_out, float) else None))


def _nothing(name: str) -> Diagnostic:
    near = suggest(name, built_in.SETS)
    help_ = f"give a file, a folder, or one of the built-in sets: {one_of(built_in.SETS)}"
    help_ += f"; did you mean `{near}`?" if near else ""
    return Diagnostic("R702", f"there is nothing at `{name}`", label="no such file or folder", help=help_)


def _empty(name: str, path: Path, data: settings.Data, source: Source) -> Diagnostic:
    what = f"`{name}` holds no {'text' if isinstance(source, text.Text) else 'examples'}" + (
        f" in files like `{data.files}`" if path.is_dir() and data.files != "*" else ""
    )
    help_ = "hidden files, whose names begin with a dot, are not read" if path.is_dir() else ""
    return Diagnostic("R702", what, label="nothing to train on", help=help_)


def unheeded(data: settings.Data) -> list[tuple[str, Diagnostic]]:
    """Refuse settings that the source does nothing with, each with its place."""
    name, path = data.source, Path(data.source)
    made = name in built_in.SETS
    given = {field for field in ("files", "size", "seed") if field in data.model_fields_set}
    chosen = path.is_dir() and not arrow.is_dataset(path)
    kind = "a built-in set" if made else "a folder" if chosen else "a dataset" if path.is_dir() else "a file"
    wrong = given & ({"files"} if made else {"size", "seed"} if chosen else {"files", "size", "seed"})
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
