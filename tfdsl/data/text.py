"""Find and read the text to train on: a file, a folder, or the Python standard library."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tfdsl.diagnostics import Diagnostic

SKIPPED = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "lib2to3"})
SHOWN = 5  # files that are named where many cannot be read


@dataclass(frozen=True, slots=True)
class Text:
    """Documents, apart: those to train on and those held out."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


def read(data: str, files: str, held_out: float) -> tuple[Text | None, list[Diagnostic]]:
    """Return the text that `data` names (a file, a folder, `stdlib`), with the share `held_out` of it set apart.

    One document is cut: its tail is held out. Of several, whole documents are held out, evenly spread.
    """
    if data == "stdlib":
        documents, problems = _documents(_stdlib(), strict=False), []
    elif Path(data).is_file():
        documents, problems = _strict([Path(data)])
    elif Path(data).is_dir():
        documents, problems = _strict(_folder(Path(data), files))
    else:
        help_ = "give a text file, a folder of text, or `stdlib`"
        return None, [Diagnostic("R702", f"there is no text at `{data}`", label="no such file or folder", help=help_)]
    if problems:
        return None, problems
    if not documents:
        what = f"`{data}` holds no text" + (f" in files like `{files}`" if Path(data).is_dir() else "")
        return None, [Diagnostic("R702", what, label="nothing to train on")]
    return split(documents, held_out), []


def split(documents: list[str], held_out: float) -> Text:
    """Set the share `held_out` of the documents apart, evenly spread; cut the tail off one that is alone."""
    if len(documents) == 1:
        cut = int(len(documents[0]) * (1 - held_out))
        return Text((documents[0][:cut],), (documents[0][cut:],))
    share = max(held_out, 1.0 / len(documents))
    apart = [int((i + 1) * share) > int(i * share) for i in range(len(documents))]
    apart[-1] = apart[-1] or not any(apart)
    return Text(
        tuple(text for text, away in zip(documents, apart, strict=True) if not away),
        tuple(text for text, away in zip(documents, apart, strict=True) if away),
    )


def _stdlib() -> list[Path]:
    root = Path(sysconfig.get_path("stdlib"))
    return _sorted(
        root, [path for path in root.rglob("*.py") if not SKIPPED.intersection(path.relative_to(root).parts)]
    )


def _folder(root: Path, pattern: str) -> list[Path]:
    found = [path for path in root.rglob(pattern) if path.is_file()]
    return _sorted(root, [path for path in found if not any(p.startswith(".") for p in path.relative_to(root).parts)])


def _sorted(root: Path, paths: list[Path]) -> list[Path]:
    """Order by name, the same on every file system."""
    return sorted(paths, key=lambda path: path.relative_to(root).as_posix())


def _documents(paths: list[Path], strict: bool) -> list[str]:
    """Return the documents that are UTF-8 and not blank."""
    documents: list[str] = []
    for path in paths:
        try:
            text = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            if strict:
                raise
            continue
        if text.strip():
            documents.append(text)
    return documents


def _strict(paths: list[Path]) -> tuple[list[str], list[Diagnostic]]:
    """Return the documents, or what is wrong with each file that cannot be read."""
    documents: list[str] = []
    problems: list[Diagnostic] = []
    for path in paths:
        try:
            documents += _documents([path], strict=True)
        except UnicodeDecodeError as error:
            where = f"byte {error.start:,} is {error.object[error.start]:#04x}"
            help_ = "save it as UTF-8, or choose the folder's files with `train.data.files`"
            problems.append(Diagnostic("R703", f"`{path}` is not UTF-8 text", label=where, help=help_))
        except OSError as error:
            problems.append(Diagnostic("R703", f"`{path}` cannot be read: {error.strerror}"))
    if len(problems) > SHOWN:
        rest = Diagnostic("R703", f"{len(problems) - SHOWN:,} more files cannot be read as text", help=problems[0].help)
        problems = [*problems[:SHOWN], rest]
    return documents, problems
