"""prune: a definition without what nothing in it reads: attributes, names, parameters, methods."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from tfdsl.codegen.library import names
from tfdsl.codegen.trees import every

RETURNED = re.compile(r"^( +)(\w+) = (.+)\n\1return \2$", re.MULTILINE)  # a value that is named to be returned


def prune(text: str) -> str:
    """Return a definition without the statements that set what nothing reads, or another name for a parameter."""
    while (copy := _second_name(text)) is not None:
        text = _renamed(text, *copy)
    while gone := _unread(text):
        lines = text.split("\n")
        for statement in reversed(gone):
            del lines[statement.lineno - 1 : statement.end_lineno]
        text = "\n".join(lines)
    return RETURNED.sub(r"\1return \3", text)


def without_parameters(text: str, method: str) -> tuple[str, frozenset[str]]:
    """Return a definition whose function `method` takes only the parameters that it reads, and those that it lost."""
    function = next((node for node in every(text, ast.FunctionDef) if node.name == method), None)
    if function is None:
        return text, frozenset()
    unread = {each.arg for each in function.args.args if each.arg != "self"} - names(function)
    lines = text.split("\n")
    found = re.search(r"\((.*)\):$", lines[function.lineno - 1])
    assert found is not None, "a signature stands on one line"
    kept = [each for each in found[1].split(", ") if each.split("=")[0] not in unread]
    lines[function.lineno - 1] = f"{' ' * function.col_offset}def {method}({', '.join(kept)}):"
    return "\n".join(lines), frozenset(unread)


def without_methods(text: str, called: frozenset[str]) -> str:
    """Return a class without the methods that are not called by any of these names."""
    for method in reversed(every(text, ast.FunctionDef)):
        if method.col_offset and method.name not in called | {"__init__", "forward"}:
            lines = text.split("\n")
            del lines[method.lineno - 2 : method.end_lineno]
            text = "\n".join(lines)
    return text


def attributes(texts: Mapping[str, str]) -> frozenset[str]:
    """Return every attribute that the texts read."""
    return frozenset[str]().union(*map(_attributes, texts.values()))


@lru_cache(maxsize=256)
def _attributes(text: str) -> frozenset[str]:
    return frozenset(node.attr for node in every(text, ast.Attribute))


def _second_name(text: str) -> tuple[ast.FunctionDef, ast.Assign, str, str] | None:
    """Return a function, its statement `name = parameter` where neither is set anywhere else, and both names."""
    for function in every(text, ast.FunctionDef):
        stored = Counter(node.id for node in every(function, ast.Name) if isinstance(node.ctx, ast.Store))
        parameters = {each.arg for each in function.args.args}
        for node in (node for block in _blocks(function) if len(block) > 1 for node in block):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=other)):
                    if stored[name] == 1 and other in parameters and not stored[other]:
                        return function, node, name, other
                case _:
                    pass
    return None


def _blocks(function: ast.FunctionDef) -> list[list[ast.stmt]]:
    """Return the statements of a function, and of each branch in it."""
    branches = [node for node in ast.walk(function) if isinstance(node, ast.If)]
    return [function.body, *(block for each in branches for block in (each.body, each.orelse))]


def _renamed(text: str, function: ast.FunctionDef, statement: ast.Assign, name: str, other: str) -> str:
    """Return the text with `other` in place of `name` in a function, and without the statement that made them one."""
    lines = text.split("\n")
    found = [node for node in every(function, ast.Name) if node.id == name]
    for node in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + other + line[node.col_offset + len(name) :]
    del lines[statement.lineno - 1]
    return "\n".join(lines)


def _unread(text: str) -> list[ast.stmt]:
    """Return the statements that set an attribute or a name that nothing reads, and that do nothing else, in order."""
    read = {node.attr for node in every(text, ast.Attribute) if isinstance(node.ctx, ast.Load)}
    found: list[ast.stmt] = []
    for function in every(text, ast.FunctionDef):
        loaded = names(function)
        for node in every(function, ast.Assign):
            match node:
                case ast.Assign(value=ast.Call()):
                    pass
                case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)]) if attr not in read:
                    found.append(node)
                case ast.Assign(targets=[ast.Name(id=name)]) if name not in loaded:
                    found.append(node)
                case _:
                    pass
    return sorted(set(found), key=lambda node: node.lineno)
