"""library: what `tfdsl/layers` defines, and what other packages do for their kinds, read as text."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

from tfdsl.codegen.melt import BASE, Piece, is_part, melt
from tfdsl.codegen.trees import every

FOLDER = Path(__file__).parent.parent / "layers"


@dataclass(frozen=True)
class Entry:
    """A class, a function or a constant of the library, with the text of the file that it stands in."""

    name: str
    node: ast.ClassDef | ast.FunctionDef | ast.Assign
    source: str

    @cached_property
    def loads(self) -> frozenset[str]:
        """Return the names that it reads, those of annotations left out."""
        return frozenset(names(stripped(self.node)))

    @cached_property
    def optional(self) -> bool:
        """Return whether it is a function that may return None."""
        returns = self.node.returns if isinstance(self.node, ast.FunctionDef) else None
        return isinstance(returns, ast.BinOp) and ast.unparse(returns).endswith(" | None")

    @cached_property
    def attributes(self) -> frozenset[str]:
        """Return the attributes that it reads, but for methods of its own."""
        found = [each for each in ast.walk(self.node) if isinstance(each, ast.Attribute)]
        return frozenset(each.attr for each in found if not (_of_itself(each) and each.attr in self.methods))

    @cached_property
    def methods(self) -> frozenset[str]:
        """Return its methods, but for those that every module has."""
        found = {
            each.name for each in ast.walk(self.node) if isinstance(each, ast.FunctionDef) and each is not self.node
        }
        return frozenset(found - {"__init__", "forward"})


def _of_itself(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def names(node: str | ast.AST) -> set[str]:
    """Return the names that are read inside a node, or in a text."""
    return {each.id for each in every(node, ast.Name) if isinstance(each.ctx, ast.Load)}


@lru_cache(maxsize=256)
def read(text: str) -> frozenset[str]:
    """Return the names that a text reads."""
    return frozenset(names(text))


def stripped(node: ast.AST) -> ast.AST:
    """Return a copy of a node without annotations."""
    copy = ast.parse(ast.unparse(node)).body[0]
    for each in ast.walk(copy):
        if isinstance(each, ast.arg):
            each.annotation = None
        elif isinstance(each, ast.FunctionDef):
            each.returns = None
        elif isinstance(each, ast.AnnAssign):
            each.annotation = ast.Constant("")
    return copy


also: ContextVar[tuple[Path, ...]] = ContextVar("also", default=())
"""The files in which kinds of other packages have their layers, those kinds that the spec being compiled uses."""


def library() -> Mapping[str, Entry]:
    """Return every definition of the layers by its name, in the order of the files."""
    return _library(also.get())


@cache
def _library(others: tuple[Path, ...]) -> Mapping[str, Entry]:
    found: dict[str, Entry] = {}
    files = {path: path.read_text(encoding="utf-8") for path in (*others, *sorted(FOLDER.glob("*.py")))}
    trees = {path: ast.parse(source) for path, source in files.items()}
    classes = [(node, path) for path, tree in trees.items() for node in tree.body if isinstance(node, ast.ClassDef)]
    parts = {node.name: Piece(node, files[path]) for node, path in classes if is_part(node)}
    for path, tree in trees.items():
        for node in tree.body:
            source = files[path]
            match node:
                case ast.ClassDef(name=name) if name in parts or name == BASE:
                    continue
                case ast.ClassDef() if (text := melt(Piece(node, source), parts)) is not None:
                    (node,), source = ast.parse(text).body, text
                case _:
                    pass
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
                    assert name not in found, f"two layers are called {name}; the second is in {path}"
                    found[name] = Entry(name, node, source)
                case _:
                    pass
    return found


def tables() -> dict[str, ast.Dict]:
    """Return the dictionaries among the constants."""
    entries = library().values()
    return {
        each.name: each.node.value
        for each in entries
        if isinstance(each.node, ast.Assign) and isinstance(each.node.value, ast.Dict)
    }


def constants() -> dict[str, object]:
    """Return the constants that are plain values."""
    found: dict[str, object] = {}
    for entry in library().values():
        if isinstance(entry.node, ast.Assign) and isinstance(entry.node.value, ast.Tuple | ast.Constant):
            found[entry.name] = ast.literal_eval(entry.node.value)
    return found
