"""gather: finds the layers that a model uses and gives their text, reduced to what this model does with them.

What a constructor or a function is given, the same at every call, is folded into its text (`fold`), and what is then not
read any more is left out: attributes, parameters, methods, imports. torch is not imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tfdsl.codegen.fold import GIVEN, UNKNOWN, Fold, dotted
from tfdsl.codegen.library import Entry, constants, library, names, tables

Arguments = dict[str, ast.expr]


@dataclass
class Signature:
    """The parameters of a function, `self` left out, with the text of their defaults."""

    names: list[str]
    defaults: dict[str, ast.expr]
    rest: str = ""  # `*inputs`

    def bind(self, call: ast.Call) -> Arguments:
        """Return the argument that each parameter gets in a call; what `*inputs` takes is left out."""
        bound = dict(zip(self.names, call.args, strict=False))
        return bound | {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def signature(node: ast.FunctionDef) -> Signature:
    """Return the signature of a function or method."""
    found = [each.arg for each in node.args.args if each.arg != "self"]
    defaults = dict(zip(found[len(found) - len(node.args.defaults) :], node.args.defaults, strict=True))
    return Signature(found, defaults, node.args.vararg.arg if node.args.vararg else "")


def gather(body: str) -> str:
    """Return the definitions that `body` (the text of a model's own classes) needs, followed by `body`.

    Calls in it lose the arguments that were folded away.
    """
    texts: dict[str, str] = {"": body}
    while (entry := _next(texts)) is not None:
        match entry.node:
            case ast.ClassDef():
                _take_class(entry, entry.node, texts)
            case ast.FunctionDef():
                _take_function(entry, entry.node, texts)
            case _:
                texts[entry.name] = ast.get_source_segment(entry.source, entry.node) or ""
        _drop_methods(texts)
    order = {name: place for place, name in enumerate(library())}
    kind = {name: isinstance(library()[name].node, ast.ClassDef) for name in texts if name}
    taken = sorted(kind, key=lambda name: (kind[name], order[name]))
    return "\n\n\n".join([*(texts[name] for name in taken), texts[""]])


def _next(texts: Mapping[str, str]) -> Entry | None:
    """Return a definition that is needed and that no other needed one still to come may call."""
    needed = {name for text in texts.values() for name in names(ast.parse(text))} & set(library()) - set(texts)
    waiting = {name for name in needed if not any(_reaches(other, name) for other in needed - {name})}
    return library()[min(waiting, key=list(library()).index)] if waiting else None


def _reaches(start: str, goal: str) -> bool:
    found, seen = {start}, set[str]()
    while found:
        name = found.pop()
        seen.add(name)
        loads = library()[name].loads & set(library())
        if goal in loads or library()[name].attributes & library()[goal].methods:
            return True
        found |= loads - seen
    return False


def _calls(text: str, wanted: Callable[[ast.Call], bool]) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and wanted(node)]


def _known(argument: ast.expr, maybe: set[str]) -> Any:
    """Return what an argument is: its value where it is a literal, else that it is not None, unless it may be."""
    try:
        return ast.literal_eval(argument)
    except ValueError:
        return UNKNOWN if isinstance(argument, ast.Name) and argument.id in maybe else GIVEN


def _folds(value: Any, default: ast.expr | None) -> bool:
    """Return whether a value that is the same at every call is put into the text: a choice is, a size is not."""
    if value is None or isinstance(value, bool | str):
        return True
    return isinstance(default, ast.Constant) and default.value == 0 and value == 0


def _settle(calls: list[tuple[Arguments, set[str]]], sign: Signature) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what each call makes known of the parameters, and the values that are folded."""
    uses: list[dict[str, Any]] = []
    for bound, maybe in calls:
        given = {name: bound.get(name, sign.defaults.get(name)) for name in sign.names}
        uses.append({name: UNKNOWN if node is None else _known(node, maybe) for name, node in given.items()})
    fixed: dict[str, Any] = {}
    for name in sign.names:
        values = [use[name] for use in uses]
        first = values[0] if values else UNKNOWN
        if first is UNKNOWN or first is GIVEN or any(value is GIVEN or value is UNKNOWN for value in values):
            continue
        if all(type(value) is type(first) and value == first for value in values) and _folds(
            first, sign.defaults.get(name)
        ):
            fixed[name] = first
    return uses, fixed


def _maybe_none(text: str) -> Iterator[tuple[ast.Call, set[str]]]:
    """Yield each call in `text` with the names around it that may be None."""
    for function in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)):
        sign = signature(function)
        maybe = {
            name
            for name, default in sign.defaults.items()
            if isinstance(default, ast.Constant) and default.value is None
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                yield node, maybe


def _take_function(entry: Entry, node: ast.FunctionDef, texts: dict[str, str]) -> None:
    sign = signature(node)
    calls = [
        (sign.bind(call), maybe)
        for text in texts.values()
        for call, maybe in _maybe_none(text)
        if dotted(call.func) == node.name
    ]
    uses, fixed = _settle(calls, sign)
    fold = Fold(entry.source, [constants() | use for use in uses], fixed, tables())
    given = {name for name in sign.names if all(name in bound for bound, _ in calls)}
    text = "\n".join(_function(fold, node, sign, fixed, given, 0))
    text, dropped = _pruned(text, sign)
    texts[entry.name] = text
    _rewrite(texts, sign, set(fixed) | dropped, lambda owner, call: dotted(call.func) == node.name)


def _function(
    fold: Fold, node: ast.FunctionDef, sign: Signature, fixed: Mapping[str, Any], given: set[str], indent: int
) -> list[str]:
    """Return the lines of a function whose parameters `fixed` are folded."""
    fold.reached = node.lineno
    parameters = ["self"] if indent else []
    optional = False
    for name in sign.names:
        if name in fixed:
            continue
        default = sign.defaults.get(name)
        optional = default is not None and (optional or name not in given)
        parameters.append(
            f"{name}={ast.unparse(default)}".replace("'", '"') if optional and default is not None else name
        )
    parameters += [f"*{sign.rest}"] if sign.rest else []
    head = f"{' ' * indent}def {node.name}({', '.join(parameters)}):"
    return [head, *fold.body(node.body, indent + 4)]


def _take_class(entry: Entry, node: ast.ClassDef, texts: dict[str, str]) -> None:
    methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
    sign = signature(methods["__init__"])
    made = [
        (sign.bind(call), maybe)
        for text in texts.values()
        for call, maybe in _maybe_none(text)
        if dotted(call.func) == node.name
    ]
    uses, fixed = _settle(made, sign)
    passed = {name for name in sign.names if all(name in bound for bound, _ in made)}
    attributes = _attributes(methods["__init__"], uses)
    known = {name: attributes[0][name] for name in attributes[0] if all(name in each for each in attributes)}
    held = {f"self.{attr}": fixed[name] for attr, name in _copies(methods["__init__"]).items() if name in fixed}
    lines = [
        f"class {node.name}({', '.join(ast.unparse(base) for base in node.bases)}):"
        if node.bases
        else f"class {node.name}:"
    ]
    forward = signature(methods["forward"]) if "forward" in methods else Signature([], {})
    sites = _forward_sites(node.name, texts)
    forward_uses, forward_fixed = _settle([(forward.bind(call), maybe) for call, maybe in sites], forward)
    bound = [forward.bind(call) for call, _ in sites]
    forward_given = {
        name
        for name in forward.names
        if all(
            name in each and use[name] is not None and use[name] is not UNKNOWN
            for each, use in zip(bound, forward_uses, strict=True)
        )
    }
    for part in node.body:
        if isinstance(part, ast.FunctionDef):
            lines += [""] if len(lines) > 1 else []
            if part.name == "__init__":
                fold = Fold(
                    entry.source,
                    [constants() | each | use for each, use in zip(attributes, uses, strict=True)],
                    fixed | held,
                    tables(),
                )
                lines += _function(fold, part, sign, fixed, passed, 4)
            elif part.name == "forward":
                pairs = [constants() | each | use for each in attributes for use in forward_uses]
                fold = Fold(entry.source, pairs, held | forward_fixed, tables())
                lines += _function(fold, part, forward, forward_fixed, forward_given, 4)
            else:
                fold = Fold(entry.source, [constants() | each for each in attributes], held, tables())
                lines += _function(fold, part, signature(part), {}, set(), 4)
        else:
            fold = Fold(entry.source, [{}], {}, {})
            lines += fold.statement(part, 4)
    del known
    text, dropped = _pruned("\n".join(lines), sign)
    text, dropped_forward = _pruned(text, forward, "forward")
    texts[entry.name] = text
    _rewrite(texts, sign, set(fixed) | dropped, lambda owner, call: dotted(call.func) == node.name)
    held_by = _holders(node.name, texts)
    _rewrite(
        texts, forward, set(forward_fixed) | dropped_forward, lambda owner, call: (owner, dotted(call.func)) in held_by
    )


def _copies(init: ast.FunctionDef) -> dict[str, str]:
    """Return the attributes that hold a parameter as it came, with the parameter's name."""
    found: dict[str, str] = {}
    for each in init.body:
        match each:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)], value=ast.Name(id=name)):
                found[attr] = name
            case _:
                pass
    return found


def _attributes(init: ast.FunctionDef, uses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is known of the attributes at each use."""
    return [{f"self.{attr}": use[name] for attr, name in _copies(init).items() if name in use} for use in uses] or [{}]


def _holders(layer: str, texts: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return (class, `self.attribute`) for each attribute that holds an instance of `layer`."""
    found: set[tuple[str, str]] = set()
    for text in texts.values():
        for owner in (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)):
            for node in ast.walk(owner):
                match node:
                    case ast.Assign(targets=[ast.Attribute() as target], value=ast.Call(func=ast.Name(id=name))) if (
                        name == layer
                    ):
                        found.add((owner.name, dotted(target)))
                    case _:
                        pass
    return found


def _forward_sites(layer: str, texts: Mapping[str, str]) -> list[tuple[ast.Call, set[str]]]:
    holders = _holders(layer, texts)
    found: list[tuple[ast.Call, set[str]]] = []
    for text in texts.values():
        for owner in (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)):
            for function in (node for node in owner.body if isinstance(node, ast.FunctionDef)):
                sign = signature(function)
                maybe = {
                    name
                    for name, default in sign.defaults.items()
                    if isinstance(default, ast.Constant) and default.value is None
                }
                calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                found += [(call, maybe) for call in calls if (owner.name, dotted(call.func)) in holders]
    return found


def _rewrite(
    texts: dict[str, str], sign: Signature, dropped: set[str], wanted: Callable[[str, ast.Call], bool]
) -> None:
    """Take the arguments of `dropped` parameters out of the calls."""
    for name, text in texts.items():
        lines = text.split("\n")
        found: list[ast.Call] = []
        for owner in ast.parse(text).body:
            label = owner.name if isinstance(owner, ast.ClassDef) else ""
            found += [node for node in ast.walk(owner) if isinstance(node, ast.Call) and wanted(label, node)]
        for call in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
            kept = [
                ast.get_source_segment(text, node) or ""
                for place, node in enumerate(call.args)
                if sign.names[place : place + 1] != [*({*sign.names[place : place + 1]} & dropped)]
                or place >= len(sign.names)
            ]
            kept += [ast.get_source_segment(text, node) or "" for node in call.keywords if node.arg not in dropped]
            head = ast.get_source_segment(text, call.func) or ""
            assert call.end_lineno == call.lineno and call.end_col_offset is not None, "a call stands on one line"
            line = lines[call.lineno - 1]
            lines[call.lineno - 1] = f"{line[: call.col_offset]}{head}({', '.join(kept)}){line[call.end_col_offset :]}"
        texts[name] = "\n".join(lines)


def _pruned(text: str, sign: Signature, method: str = "__init__") -> tuple[str, set[str]]:
    """Return a definition without the attributes, names and parameters that nothing reads, and the parameters dropped."""
    dropped: set[str] = set()
    while True:
        tree = ast.parse(text).body[0]
        gone = _unread(tree)
        if gone is None:
            break
        lines = text.split("\n")
        del lines[gone.lineno - 1 : gone.end_lineno]
        text = "\n".join(lines)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        if function.name == method or (isinstance(tree, ast.FunctionDef) and function is tree):
            unread = {name for name in sign.names if name in {each.arg for each in function.args.args}} - names(
                function
            )
            if unread:
                lines = text.split("\n")
                kept = [
                    f"{each}" for each in _parameters(lines[function.lineno - 1]) if each.split("=")[0] not in unread
                ]
                lines[function.lineno - 1] = f"{' ' * function.col_offset}def {function.name}({', '.join(kept)}):"
                text, dropped = "\n".join(lines), dropped | unread
    return text, dropped


def _parameters(line: str) -> list[str]:
    found = re.search(r"\((.*)\):$", line)
    return found[1].split(", ") if found else []


def _unread(tree: ast.AST) -> ast.stmt | None:
    """Return a statement that sets an attribute or a name that nothing reads, and that does nothing else."""
    attributes = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        read = names(function)
        for node in ast.walk(function):
            match node:
                case ast.Assign(value=ast.Call()):
                    continue
                case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)]) if (
                    attr not in attributes
                ):
                    return node
                case ast.Assign(targets=[ast.Name(id=name)]) if name not in read:
                    return node
                case _:
                    pass
    return None


def _drop_methods(texts: dict[str, str]) -> None:
    """Leave out the methods of gathered classes that nothing calls."""
    called = {
        node.attr for text in texts.values() for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)
    }
    for name in [name for name in texts if name]:
        tree = ast.parse(texts[name]).body[0]
        for method in reversed(
            [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node is not tree]
        ):
            if method.name not in called | {"__init__", "forward"} and isinstance(tree, ast.ClassDef):
                lines = texts[name].split("\n")
                del lines[method.lineno - 2 : method.end_lineno]
                texts[name] = "\n".join(lines)
