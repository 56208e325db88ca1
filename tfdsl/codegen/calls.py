"""calls: who calls what with which arguments, in text; and the same calls without arguments that are not wanted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tfdsl.codegen.fold import GIVEN, UNKNOWN, dotted
from tfdsl.codegen.library import library
from tfdsl.codegen.trees import every, parsed


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a function, `self` left out, and their defaults; `rest` is the name of `*inputs`."""

    names: tuple[str, ...] = ()
    defaults: Mapping[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    rest: str = ""

    def bind(self, call: ast.Call) -> dict[str, ast.expr]:
        """Return the argument that each parameter gets in a call; what `*inputs` takes is left out."""
        bound = dict(zip(self.names, call.args, strict=False))
        return bound | {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}

    @property
    def optional(self) -> frozenset[str]:
        """Return the parameters that are None where they are not given."""
        return frozenset(
            name for name, node in self.defaults.items() if isinstance(node, ast.Constant) and node.value is None
        )


@dataclass(frozen=True, slots=True)
class Site:
    """A call, the class that it stands in, and the names around it that may be None."""

    owner: str
    call: ast.Call
    maybe: frozenset[str]

    @property
    def name(self) -> str:
        """Return what is called."""
        return dotted(self.call.func)


@dataclass(frozen=True, slots=True)
class Uses:
    """What all calls of a function tell of its parameters.

    `known` holds what each call makes known; `fixed` the values to fold; `given` the parameters that every call passes,
    none as what may be None; `placed` counts those that a call passes by their place.
    """

    known: tuple[dict[str, Any], ...]
    fixed: Mapping[str, Any]
    given: frozenset[str]
    placed: int = 0


def signature(node: ast.FunctionDef) -> Signature:
    """Return the signature of a function or method."""
    found = tuple(each.arg for each in node.args.args if each.arg != "self")
    defaults = dict(zip(found[len(found) - len(node.args.defaults) :], node.args.defaults, strict=True))
    return Signature(found, defaults, node.args.vararg.arg if node.args.vararg else "")


def sites(texts: Mapping[str, str]) -> Iterator[Site]:
    """Yield every call inside a function of the texts."""
    return (site for text in texts.values() for site in _sites(text))


@lru_cache(maxsize=256)
def _sites(text: str) -> tuple[Site, ...]:
    found: list[Site] = []
    for top in parsed(text).body:
        owner = top.name if isinstance(top, ast.ClassDef) else ""
        held = _held(top)
        for function in every(top, ast.FunctionDef):
            maybe = _maybe(function) | held
            found += [Site(owner, node, maybe) for node in every(function, ast.Call)]
    return tuple(found)


def _held(top: ast.stmt) -> frozenset[str]:
    """Return the attributes of a class that may be None: those that its constructor makes of what may be."""
    found: set[str] = set()
    for function in (node for node in every(top, ast.FunctionDef) if node.name == "__init__"):
        maybe = _maybe(function)
        for node in every(function, ast.Assign):
            match node:
                case ast.Assign(targets=[ast.Attribute() as target], value=value) if maybe & _one_of(value):
                    found.add(dotted(target))
                case _:
                    pass
    return frozenset(found)


def _maybe(function: ast.FunctionDef) -> frozenset[str]:
    """Return the names in a function that may be None: its parameters, and what is made of one or the other."""
    found = {"None", *signature(function).optional}
    for node in every(function, ast.Assign):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if found & _one_of(value):
                found.add(name)
            case _:
                pass
    return frozenset(found)


def _one_of(value: ast.expr) -> set[str]:
    """Return the names of which an expression is one; `None` is one too."""
    match value:
        case ast.IfExp():
            return _one_of(value.body) | _one_of(value.orelse)
        case ast.Name() | ast.Attribute():
            return {dotted(value)}
        case ast.Constant(value=None):
            return {"None"}
        case ast.Call(func=ast.Name(id=name)) if name in library() and library()[name].optional:
            return {"None"}
        case _:
            return set()


def holders(layer: str, texts: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return (class, `self.attribute`) for each attribute that holds an instance of `layer`, a passed one too."""
    kept = {(owner, f"self.{parameter}") for owner, parameter in passed(layer, texts)}
    return kept | {(owner, held) for text in texts.values() for owner, held, made in _made(text) if made == layer}


@lru_cache(maxsize=256)
def _made(text: str) -> tuple[tuple[str, str, str], ...]:
    """Return (class, `self.attribute`, what is called) for each attribute that a call's result is kept in."""
    found: list[tuple[str, str, str]] = []
    for owner in (node for node in parsed(text).body if isinstance(node, ast.ClassDef)):
        for node in every(owner, ast.Assign):
            match node:
                case ast.Assign(targets=[ast.Attribute() as target], value=ast.Call(func=ast.Name(id=name))):
                    found.append((owner.name, dotted(target), name))
                case _:
                    pass
    return tuple(found)


def passed(layer: str, texts: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return (class, parameter) for each constructor that is given an instance of `layer`; it keeps it by that name."""
    return {
        (site.name, keyword.arg)
        for site in sites(texts)
        for keyword in site.call.keywords
        if keyword.arg and isinstance(keyword.value, ast.Call) and dotted(keyword.value.func) == layer
    }


def beside(layer: str, texts: Mapping[str, str]) -> bool:
    """Return whether a constructor is given another layer, at another call, where it is given this one."""
    places = passed(layer, texts)
    return any(
        (site.name, keyword.arg) in places
        for site in sites(texts)
        for keyword in site.call.keywords
        if keyword.arg and isinstance(keyword.value, ast.Call) and dotted(keyword.value.func) != layer
    )


def uses(sign: Signature, found: Sequence[Site]) -> Uses:
    """Return what these calls of a function tell of its parameters."""
    bound = [sign.bind(site.call) for site in found]
    known = tuple(
        {name: _known(name, sign, given, site) for name in sign.names} for given, site in zip(bound, found, strict=True)
    )
    fixed: dict[str, Any] = {}
    for name in sign.names:
        values = [use[name] for use in known]
        if values and all(_same(value, values[0]) for value in values) and _folds(values[0], sign.defaults.get(name)):
            fixed[name] = values[0]
    passed = {name for name in sign.names if all(name in given for given in bound)}
    given = frozenset(name for name in passed if all(use[name] is not UNKNOWN for use in known))
    return Uses(known, fixed, given, max((len(site.call.args) for site in found), default=0))


def _known(name: str, sign: Signature, bound: Mapping[str, ast.expr], site: Site) -> Any:
    """Return what a parameter is in a call: a literal's value, else that it is not None, unless it may be."""
    argument = bound.get(name, sign.defaults.get(name))
    if argument is None:
        return UNKNOWN
    try:
        return ast.literal_eval(argument)
    except ValueError:
        return UNKNOWN if _one_of(argument) & site.maybe else GIVEN


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _folds(value: Any, default: ast.expr | None) -> bool:
    """Return whether a value that is the same at every call is put into the text: a choice is, a size is not."""
    if value is None or isinstance(value, bool | str):
        return True
    return isinstance(default, ast.Constant) and _same(value, default.value) and value == 0


def without(texts: dict[str, str], sign: Signature, dropped: frozenset[str], wanted: Callable[[Site], bool]) -> None:
    """Take the arguments of `dropped` parameters out of the wanted calls."""
    for name, text in texts.items():
        before = text.split("\n")
        lines = list(before)
        found = [site.call for site in sites({name: text}) if wanted(site)] if dropped else []
        for call in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
            assert call.end_lineno == call.lineno and call.end_col_offset is not None, "a call stands on one line"
            line = lines[call.lineno - 1]
            less = _called(before[call.lineno - 1], call, sign, dropped)
            lines[call.lineno - 1] = line[: call.col_offset] + less + line[call.end_col_offset :]
        texts[name] = "\n".join(lines)


def _called(line: str, call: ast.Call, sign: Signature, dropped: frozenset[str]) -> str:
    """Return a call that stands on a line, without the arguments of these parameters."""
    places = (*sign.names, *("" for _ in call.args))
    kept: list[ast.expr | ast.keyword] = [
        node for place, node in zip(places, call.args, strict=False) if place not in dropped
    ]
    kept += [node for node in call.keywords if node.arg not in dropped]
    func, *parts = (line[node.col_offset : node.end_col_offset] for node in (call.func, *kept))
    return f"{func}({', '.join(parts)})"
