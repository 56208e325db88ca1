"""trees: the nodes of Python text by their type; the compiler looks at every tree many times."""

from __future__ import annotations

import ast
from typing import TypeVar

T = TypeVar("T", bound=ast.AST)


def walk(tree: ast.AST) -> list[ast.AST]:
    """Return a node and all that stands below it, in the order of `ast.walk`, without the contexts of names."""
    found = [tree]
    for node in found:  # which grows meanwhile
        for name, value in vars(node).items():
            if isinstance(value, ast.AST):
                if name != "ctx":
                    found.append(value)
            elif isinstance(value, list):
                found += [each for each in value if isinstance(each, ast.AST)]
    return found


def every(tree: ast.AST, kind: type[T]) -> list[T]:
    """Return the nodes of a type, in the order of `ast.walk`."""
    return [node for node in walk(tree) if isinstance(node, kind)]
