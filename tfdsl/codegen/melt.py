"""melt: a layer that is made of parts as one class, whose arguments, weights and text those of its parts are.

A part is a class of the base `Part`; a layer has it where its constructor takes one and keeps it by the same name. Then

- the layer takes the part's arguments in its place, those of one name once;
- the part's constructor stands where the part was kept, and its other methods are the layer's;
- where the layer calls it, in a statement of its own, stands what it does. A name that it is given is that name there;
  another argument stands where the part reads it;
- what its constructor says already, word for word, is not said again: parts work out sizes that they share.

So a part that does nothing in a model leaves nothing behind (`fold`), and weights have no part's name in theirs.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

BASE = "Part"


@dataclass(frozen=True)
class Piece:
    """A class with the text of the file that it stands in."""

    node: ast.ClassDef
    source: str

    def method(self, name: str) -> ast.FunctionDef:
        """Return one of its methods."""
        return next(each for each in self.methods if each.name == name)

    @property
    def methods(self) -> list[ast.FunctionDef]:
        """Return all of its methods."""
        return [each for each in self.node.body if isinstance(each, ast.FunctionDef)]

    @cached_property
    def lines(self) -> list[str]:
        """Return the lines of its file."""
        return self.source.split("\n")

    def text(self, node: ast.stmt | ast.expr) -> str:
        """Return the text of a node."""
        assert node.end_lineno is not None, "parsed text has places"
        first, *rest = self.lines[node.lineno - 1 : node.end_lineno]
        if not rest:
            return first[node.col_offset : node.end_col_offset]
        return "\n".join([first[node.col_offset :], *rest[:-1], rest[-1][: node.end_col_offset]])

    def body(self, name: str) -> list[str]:
        """Return the lines of a method, comments among them, without its docstring."""
        node = self.method(name)
        assert node.returns is not None and node.end_lineno is not None, "a method of a layer says what it returns"
        begin = node.body[0] if ast.get_docstring(node) is not None else node.returns
        lines = self.lines[begin.end_lineno : node.end_lineno]
        return [line[node.body[0].col_offset :] for line in lines]


def is_part(node: ast.ClassDef) -> bool:
    """Return whether a class is a part of layers."""
    return any(ast.unparse(base) == BASE for base in node.bases)


def melt(layer: Piece, parts: Mapping[str, Piece]) -> str | None:
    """Return the text of a layer in which its parts are no more to be seen; None where it has none."""
    init = next((each for each in layer.methods if each.name == "__init__"), None)
    taken = {each.arg: parts[kind] for each in (init.args.args if init else ()) if (kind := _kind(each)) in parts}
    if not taken:
        return None
    assert layer.node.end_lineno is not None, "parsed text has places"
    lines = list(layer.lines)
    for first, last, put in sorted(_changes(layer, taken), reverse=True):
        lines[first - 1 : last] = put
    end = layer.node.end_lineno + len(lines) - layer.source.count("\n") - 1
    text = "\n".join(lines[layer.node.lineno - 1 : end])
    said = layer.text(layer.method("forward"))
    for name in sorted(taken, key=lambda name: said.find(f"self.{name}(")):
        for method in taken[name].methods:
            if method.name not in ("__init__", "forward"):
                text += "\n\n    " + taken[name].text(method)
    return _said_once(_owned(text, set(taken)))


def _kind(parameter: ast.arg) -> str:
    return ast.unparse(parameter.annotation) if parameter.annotation is not None else ""


def _changes(layer: Piece, taken: Mapping[str, Piece]) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the first and the last line of what changes in a layer, and the lines that come there."""
    init = layer.method("__init__")
    assert init.returns is not None, "a constructor says that it returns nothing"
    yield (
        init.lineno,
        init.returns.end_lineno or 0,
        [f"    def __init__({', '.join(_parameters(init, taken))}) -> None:"],
    )
    for function in layer.methods:
        for node in ast.walk(function):
            match node:
                case ast.Assign(value=ast.Name(id=name)) if function is init and name in taken:
                    made = [line for line in taken[name].body("__init__") if line != "super().__init__()"]
                    yield node.lineno, node.end_lineno or 0, _indented(made, node.col_offset)
                case ast.Assign(value=ast.Call(func=ast.Attribute(attr=name)) as call) if name in taken:
                    (target,) = node.targets
                    done = _done(taken[name], call, layer, f"{layer.text(target)} = ")
                    both = _set(taken[name].method("forward")) & {each.id for each in _names(function)}
                    assert not both, f"`{name}` sets what {function.name} has a use of its own for: {sorted(both)}"
                    yield node.lineno, node.end_lineno or 0, _indented(done, node.col_offset)
                case _:
                    pass


def _parameters(init: ast.FunctionDef, taken: Mapping[str, Piece]) -> list[str]:
    """Return the parameters of a layer with those of its parts in place of these; those with a default come last."""
    found: dict[str, str] = {}
    for name, text in _signature(init):
        inner = _signature(taken[name].method("__init__"))[1:] if name in taken else [(name, text)]
        for each, said in inner:
            assert found.setdefault(each, said) == said, f"two parts mean different things by `{each}`"
    return sorted(found.values(), key=lambda text: "=" in text)


def _signature(function: ast.FunctionDef) -> list[tuple[str, str]]:
    """Return the names of a function's parameters, and how each is written with its default."""
    count = len(function.args.args) - len(function.args.defaults)
    ends = [""] * count + [f" = {ast.unparse(each)}" for each in function.args.defaults]
    return [(each.arg, ast.unparse(each) + end) for each, end in zip(function.args.args, ends, strict=True)]


def _done(part: Piece, call: ast.Call, layer: Piece, target: str) -> list[str]:
    """Return what a part does where it is called; what it returns becomes the target."""
    function = part.method("forward")
    (*_, last) = function.body
    assert isinstance(last, ast.Return) and last.value is not None, "a part returns at its end, and there alone"
    names = [each.arg for each in function.args.args[1:]]
    given = dict(zip(names, map(layer.text, call.args), strict=False))
    given |= {keyword.arg or "": layer.text(keyword.value) for keyword in call.keywords}
    count = len(names) - len(function.args.defaults)
    given = dict(zip(names[count:], map(ast.unparse, function.args.defaults), strict=True)) | given
    text = "\n".join(part.body("forward"))
    text = _renamed(text, {name: said for name, said in given.items() if name != said})
    head, _, value = text.rpartition("return ")
    same = target == f"{value} = "
    return [*head.rstrip("\n").split("\n"), *([] if same else f"{target}{value}".split("\n"))][0 if head else 1 :]


def _set(function: ast.FunctionDef) -> set[str]:
    """Return the names that are a function's own: neither its parameters nor part of what it returns."""
    shown = {each.id for each in _names(function.body[-1])} | {each.arg for each in function.args.args}
    return {each.id for each in _names(function) if isinstance(each.ctx, ast.Store)} - shown


def _names(node: ast.AST) -> list[ast.Name]:
    return [each for each in ast.walk(node) if isinstance(each, ast.Name)]


def _renamed(text: str, given: Mapping[str, str]) -> str:
    """Return a text with what is given in place of names."""
    tree = ast.parse(f"def part():\n{_shifted(text)}")
    found = [each for each in _names(tree) if each.id in given]
    reads = Counter(each.id for each in found)
    whole = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.keyword)}
    lines = text.split("\n")
    for each in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        said = given[each.id]
        plain = said.isidentifier()
        assert plain or reads[each.id] == 1, f"`{each.id}` is read often: give it a name"
        said = said if plain or id(each) in whole else f"({said})"
        line, place = lines[each.lineno - 2], each.col_offset - 4
        lines[each.lineno - 2] = line[:place] + said + line[place + len(each.id) :]
    return "\n".join(lines)


def _owned(text: str, parts: set[str]) -> str:
    """Return the text of a class that reads what was its parts' as its own: `self.part.name` is `self.name`."""
    lines = text.split("\n")
    for each in ast.walk(ast.parse(text)):
        match each:
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=name) as inner) if name in parts:
                said, line = f"self.{name}.{each.attr}", lines[inner.lineno - 1]
                lines[inner.lineno - 1] = line.replace(said, f"self.{each.attr}")
            case _:
                pass
    return "\n".join(lines)


def _said_once(text: str) -> str:
    """Return a class without assignments in its constructor that stand there already."""
    lines, seen, gone = text.split("\n"), set[str](), list[ast.stmt]()
    (layer,) = ast.parse(text).body
    assert isinstance(layer, ast.ClassDef), "the text is that of a class"
    for node in Piece(layer, text).method("__init__").body:
        said = ast.unparse(node)
        gone += [node] if isinstance(node, ast.Assign) and said in seen else []
        seen.add(said)
    for node in reversed(gone):
        del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines)


def _indented(lines: Sequence[str], indent: int) -> list[str]:
    return [" " * indent + line if line else "" for line in lines]


def _shifted(text: str) -> str:
    return "\n".join(_indented(text.split("\n"), 4))
