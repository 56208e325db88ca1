"""trees: Python text as a tree, parsed once however many look at it, and the nodes in it by their type."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T", bound=ast.AST)


@lru_cache(maxsize=32)
def parsed(text: str) -> ast.Module:
    """Return the tree of a text, which nobody changes."""
    return ast.parse(text)


def every(tree: str | ast.AST, kind: type[T]) -> list[T]:
    """Return the nodes of a type in a tree or in that of a text, in the order of `ast.walk`."""
    nodes = _nodes(tree) if isinstance(tree, str) else _walk(tree)
    return [node for node in nodes if isinstance(node, kind)]


@lru_cache(maxsize=32)
def _nodes(text: str) -> tuple[ast.AST, ...]:
    return tuple(_walk(parsed(text)))


def _walk(tree: ast.AST) -> list[ast.AST]:
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
