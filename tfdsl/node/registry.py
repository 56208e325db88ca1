"""The kinds that there are, and how a node is read: a bare word, or a mapping of its kind to its fields."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from tfdsl.node.contract import Node
from tfdsl.parts import Part, again, choose_type, located, problem, said

default_types: ContextVar[Mapping[str, str]] = ContextVar("default_types", default=MappingProxyType({}))
"""The types that `defaults` of the spec that is being read gives to kinds."""


UNTYPED = "untyped"  # among the fields that were set: the type was not


@cache
def kinds() -> tuple[str, ...]:
    """Return the kinds that there are: a file of `tfdsl.nodes` each, then those of installed packages."""
    ours = [module.name for module in pkgutil.iter_modules(importlib.import_module("tfdsl.nodes").__path__)]
    from importlib.metadata import entry_points  # slow, and of use where a kind is not ours

    theirs = [point.name for point in entry_points(group="tfdsl.nodes")]
    return tuple(sorted(ours)) + tuple(sorted(set(theirs) - set(ours)))


@cache
def lookup(kind: str) -> type[Node] | None:
    """Return the class of a kind, or None. A file is imported when a spec first uses its kind."""
    folder = importlib.import_module("tfdsl.nodes").__path__
    if kind in {module.name for module in pkgutil.iter_modules(folder)}:
        module = importlib.import_module(f"tfdsl.nodes.{kind}")
    else:
        from importlib.metadata import entry_points  # slow, and of use where a kind is not ours

        point = next((point for point in entry_points(group="tfdsl.nodes") if point.name == kind), None)
        if point is None:
            return None
        module = point.load()
    found = next(each for each in vars(module).values() if _is_kind(each) and each.__module__ == module.__name__)
    assert found.kind == kind, f"the entry point `{kind}` names a module of another name: `{module.__name__}`"
    return found


def _is_kind(value: Any) -> bool:
    return isinstance(value, type) and Node in value.__bases__


def read(value: Any) -> Node:
    """Read a node: a bare word, or a one-key mapping of its kind to its fields or its headline field alone."""
    if isinstance(value, Node):
        return value
    if isinstance(value, str):
        kind, body = value, None
    elif isinstance(value, dict) and len(value) == 1:
        ((kind, body),) = value.items()
    elif isinstance(value, dict):
        keys = ", ".join(f"`{key}`" for key in value)
        raise problem(
            "D110",
            f"a node has one key, its kind; this has {len(value)}: {keys}",
            help="write the fields inside braces: `- kind: {field: value}`",
        )
    else:
        raise problem("D103", f"{said(value)} is not a node", expected="a kind, or a mapping with a kind as its key")
    base = lookup(kind) if isinstance(kind, str) else None
    if base is None:
        raise located(
            problem("D101", f"unknown kind `{kind}`", word=str(kind), candidates=kinds(), at="key"), (kind,), value
        )
    try:
        cls, fields = _fields(base, body)
        made = cls.read(fields)
    except (ValidationError, PydanticCustomError) as error:
        raise _under(kind, error, body) from None
    if base.types and not (isinstance(body, dict) and "type" in body):
        made.model_fields_set.add(UNTYPED)
    return made


def adopted(value: Any, types: Mapping[str, str]) -> Any:
    """Return a value of a spec that was made of Python objects, its nodes without a type of those in `types`.

    Such a node was read before anyone knew of the spec's `defaults`: `Residual(body=["norm", "attention"])`.
    """
    if isinstance(value, list | tuple):
        items = [adopted(each, types) for each in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict | Part):
        return value
    entries: dict[Any, Any] = value if isinstance(value, dict) else value.given()
    fields = {name: adopted(each, types) for name, each in entries.items()}
    if isinstance(value, Node) and UNTYPED in value.model_fields_set and value.kind in types:
        return read({value.kind: fields})
    if all(fields[name] is each for name, each in entries.items()):
        return value
    return fields if isinstance(value, dict) else type(value).read(fields)


def _fields(base: type[Node], body: Any) -> tuple[type[Node], dict[str, Any]]:
    headline = "type" if base.types and not base.headline else base.headline
    if body is None:
        fields: dict[str, Any] = {}
    elif isinstance(body, dict):
        fields = body
    elif headline is None:
        raise problem(
            "D103",
            f"{said(body)} is not a mapping of fields",
            expected=f"a mapping: `{base.kind}` has no field that can stand alone",
        )
    else:
        fields = {headline: body}
    if not base.types:
        return base, fields
    chosen = choose_type(base, fields, default_types.get().get(base.kind))
    return chosen, {key: entry for key, entry in fields.items() if key != "type"}


def _under(kind: str, error: ValidationError | PydanticCustomError, value: Any) -> ValidationError:
    """Place an error below the key that holds the node's kind."""
    if isinstance(error, PydanticCustomError):
        return located(error, (kind,), value)
    return again(error, (kind,))
