"""The Python standard library as examples: its text, code and what it does, and which package a stretch is from."""

from __future__ import annotations

import ast
import re
import sysconfig
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tfdsl.data.source import Listed, Source
from tfdsl.data.text import Text, stdlib

LINES = 12  # of a stretch of code
MOST = 400  # stretches of a package
PACKAGES = (
    "asyncio", "email", "encodings", "http", "importlib", "multiprocessing", "unittest", "urllib", "xml",
)  # fmt: skip
LONGEST = 600  # characters of a function that are kept
Function = ast.FunctionDef | ast.AsyncFunctionDef


def text(size: int | None, seed: int) -> Source:
    """Return the text of the .py files (`text`), without tests; the first `size` of them."""
    return Text(stdlib()[:size], strict=False)


def modules(size: int | None, seed: int) -> Listed:
    """Return stretches of twelve lines of code (`text`) and the package that each is from (`label`).

    Imports are left out, for they tell it. Whole files are held out, so that no name is known from its own file.
    """
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    root = Path(sysconfig.get_path("stdlib"))
    for number, path in enumerate(stdlib()):
        package = path.relative_to(root).parts[0]
        if package in PACKAGES:
            found[package] += [(number, stretch) for stretch in _stretches(path, package)]
    draw = np.random.default_rng(seed)
    chosen: list[tuple[int, str, str]] = []
    for package, stretches in sorted(found.items()):
        order = sorted(draw.permutation(len(stretches))[:MOST].tolist())
        chosen += [(*stretches[at], package) for at in order]
    order = sorted(draw.permutation(len(chosen))[:size].tolist())
    rows = [{"text": chosen[at][1], "label": chosen[at][2]} for at in order]
    return Listed(("text", "label"), rows, "modules", groups=tuple(chosen[at][0] for at in order))


def docstrings(size: int | None, seed: int) -> Listed:
    """Return the first sentence of what a function says of itself (`query`), and its code without that (`positive`)."""
    rows: dict[str, Mapping[str, str]] = {}
    for path in stdlib():
        source = _source(path)
        for node in ast.walk(_parsed(source)):
            pair = _pair(node, source) if isinstance(node, Function) else None
            if pair is not None:
                rows.setdefault(pair["query"], pair)
    kept = list(rows.values())
    order = np.random.default_rng(seed).permutation(len(kept))[:size]
    return Listed(("query", "positive"), [kept[at] for at in sorted(order.tolist())], "docstrings")


def _stretches(path: Path, package: str) -> Iterator[str]:
    """Yield the code of a file by twelve lines, the package's own name and what is imported hidden."""
    lines = [line for line in _source(path).splitlines() if line.strip() and not _TOLD.match(line)]
    for first in range(0, len(lines) - LINES + 1, LINES):
        yield re.sub(re.escape(package), "_", "\n".join(lines[first : first + LINES]), flags=re.IGNORECASE)


_TOLD = re.compile(r"\s*(import|from)\s")


def _pair(node: Function, source: str) -> Mapping[str, str] | None:
    """Return what a function says that it does, and how it does it, where both are worth reading."""
    said = ast.get_docstring(node)
    if not said or len(node.body) < 2:
        return None
    query = re.split(r"(?<=[.!?])\s|\n\s*\n", said.strip())[0]
    query = " ".join(query.split())
    lines = source.splitlines()
    head = lines[node.lineno - 1 : node.body[0].lineno - 1]
    body = lines[(node.body[0].end_lineno or node.body[0].lineno) : node.end_lineno]
    code = "\n".join(line[node.col_offset :] for line in head + body if line.strip())
    return {"query": query, "positive": code[:LONGEST]} if 20 <= len(query) <= 200 and len(code) >= 60 else None


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in texts, which are not ours
        try:
            return ast.parse(source)
        except SyntaxError:  # on purpose, in files that test for it
            return ast.Module([], [])
