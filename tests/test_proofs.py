"""Every test proves something: it asserts, or what it calls does; and not only that something is there."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent
RAISES = {"raises", "assert_close", "assert_allclose", "check_schema"}  # calls that fail by themselves


def name(call: ast.Call) -> str:
    """Return the last part of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def proves(function: ast.AST, others: Mapping[str, list[ast.AST]], seen: frozenset[str] = frozenset()) -> bool:
    """Return whether a function, or one of `others` that it calls, asserts more than that something is there."""
    asserted = [node for node in ast.walk(function) if isinstance(node, ast.Assert) and not _idle(node.test)]
    called = {name(node) for node in ast.walk(function) if isinstance(node, ast.Call)} - seen
    return bool(asserted or called & RAISES) or any(
        proves(each, others, seen | called) for word in called for each in others.get(word, ())
    )


def _idle(test: ast.expr) -> bool:
    """Return whether a test of `assert` is there for the type checker: `x is not None`, `isinstance(x, y)`, `x`."""
    match test:
        case ast.BoolOp(op=ast.And(), values=values):
            return all(map(_idle, values))
        case ast.Compare(ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]) | ast.Constant() | ast.Tuple():
            return True
        case ast.Call(func=ast.Name(id="isinstance")):
            return True
        case _:
            return False


def idle(texts: Mapping[str, str]) -> list[str]:
    """Return the tests of some files, by the names of the files, that prove nothing."""
    trees = {path: ast.parse(text) for path, text in texts.items()}
    functions: dict[str, list[ast.AST]] = {}
    for tree in trees.values():
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            functions.setdefault(node.name, []).append(node)
    return [
        f"{path}: {node.name}"
        for path, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test") and not proves(node, functions)
    ]


def test_every_test_proves_something() -> None:
    paths = sorted(path for path in ROOT.rglob("*.py") if "golden" not in path.parts)
    assert idle({str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}) == []


def test_one_that_proves_nothing_is_found() -> None:
    text = """
def same(one, two): assert one == two
def held(it): same(it, it)
def test_by_another(): held(3)
def test_nothing(): print(3)
def test_there(): assert 3 is not None and isinstance(3, int)
def test_raises():
    with pytest.raises(ValueError): int("x")
"""
    assert idle({"a": text}) == ["a: test_nothing", "a: test_there"]
