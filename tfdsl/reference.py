"""What the kinds' classes say of themselves, in words: for `tfdsl kinds` and for the pages under docs/kinds."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, StringConstraints, ValidationError
from pydantic.fields import FieldInfo

from tfdsl import node
from tfdsl.node import Node
from tfdsl.parts import MISSING, Choice, Number, Part, one_of


@dataclass(frozen=True, slots=True)
class Field:
    """A field in words: its name, what it takes, its default (empty: it must be given), its meaning."""

    name: str
    takes: str
    default: str
    about: str


@dataclass(frozen=True, slots=True)
class Group:
    """A type of a kind or of a part: the word that names it (empty where it is alone), its meaning, its fields."""

    word: str
    about: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part that a field takes: the field, and the part's types."""

    field: str
    about: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: what it is for, what it does, the field that may stand alone, its fields, types and parts."""

    name: str
    purpose: str
    about: str
    headline: str
    default_type: str
    fields: tuple[Field, ...]
    types: tuple[Group, ...]
    parts: tuple[Piece, ...]


def kind(name: str) -> Kind:
    """Describe the kind `name`, which must be one."""
    base = node.lookup(name)
    assert base is not None, name
    common = set(Node.model_fields)
    own = {each: field for each, field in base.model_fields.items() if each not in common}
    return Kind(
        name,
        (sys.modules[base.__module__].__doc__ or "").partition("\n")[0].partition(": ")[2].rstrip("."),
        about(base),
        base.headline or ("type" if base.types else ""),
        base.default_type or "",
        _fields(own),
        tuple(Group(word, about(each), _fields(_beyond(each, common | set(own)))) for word, each in base.types.items()),
        tuple(
            _parts(
                {name: field for each in (base, *base.types.values()) for name, field in _beyond(each, common).items()}
            )
        ),
    )


def every() -> tuple[Field, ...]:
    """Describe the fields that every node may carry."""
    return _fields(Node.model_fields)


def section(model: type[BaseModel]) -> tuple[tuple[Field, ...], tuple[Piece, ...]]:
    """Describe a section of the document: its fields, and the parts that they take."""
    return _fields(model.model_fields), tuple(_parts(model.model_fields))


def part(model: type[BaseModel]) -> tuple[Group, ...]:
    """Describe a part: itself, or each of its types."""
    if issubclass(model, Choice) and model.types:
        return tuple(Group(word, about(each), _fields(each.model_fields)) for word, each in model.types.items())
    return (Group("", about(model), _fields(model.model_fields)),)


def about(model: type[Any]) -> str:
    """Return a class's docstring as one paragraph, or several."""
    text = (model.__doc__ or "").strip()
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def takes(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """Say in words what a type admits: `a whole number from 1 up`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return takes(arguments[0], tuple(arguments[1:]))
    number = next((each for each in metadata if isinstance(each, Number)), None)
    if number is not None:
        return "an axis" if number.symbolic else number.wanted()
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(takes(each) for each in arguments if each is not type(None)))
    if origin is Literal:
        return one_of(arguments)
    if origin is tuple:
        alone = any(isinstance(each, BeforeValidator) for each in metadata)
        return f"{takes(arguments[0])}, or a list of them" if alone else _list(arguments)
    if isinstance(origin or annotation, type) and issubclass(origin or annotation, Mapping | dict):
        return f"a mapping from {takes(arguments[0])} to {takes(arguments[1])}" if arguments else "a mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _part(annotation)
    named = any(isinstance(each, StringConstraints) for each in metadata)
    words: dict[Any, str] = {
        bool: "`true` or `false`",
        int: "a whole number",
        float: "a number",
        str: "a name" if named else "text",
    }
    return words.get(annotation, "a value")


def _list(arguments: tuple[Any, ...]) -> str:
    if arguments[0] is Node:
        return "a pipe"
    inner = takes(arguments[0])
    return (
        "a list of pipes"
        if inner == "a pipe"
        else f"a list, each {inner}"
        if arguments[-1] is Ellipsis
        else f"a list of {len(arguments)}, each {inner}"
    )


def _part(model: type[BaseModel]) -> str:
    if issubclass(model, Choice) and model.types:
        return one_of(model.types)
    if model is Node:
        return "a node"
    mapping = "`{" + ", ".join(_names(model)) + "}`"
    if any(field.exclude for field in model.model_fields.values()):
        return f"{mapping} or a value"
    if issubclass(model, Part) and model.headline is not None:
        return f"its `{model.headline}` alone, or {mapping}"
    return f"`true`, `false` or {mapping}" if switches(model) else mapping


def switches(model: type[BaseModel]) -> bool:
    """Return whether `true` or `false` may stand for the whole part."""
    try:
        model.model_validate(True)
    except ValidationError:
        return False
    return True


def _parts(fields: Mapping[str, FieldInfo]) -> typing.Iterator[Piece]:
    """Yield the parts that stand in fields, and behind each those that stand in it."""
    for name, field in fields.items():
        for model in _models(field.annotation):
            yield Piece(field.alias or name, about(model), part(model))
            types = model.types.values() if issubclass(model, Choice) and model.types else (model,)
            yield from _parts({inner: each for kind in types for inner, each in kind.model_fields.items()})


def _models(annotation: Any) -> typing.Iterator[type[BaseModel]]:
    """Yield the parts that stand in an annotation; nodes are not parts."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        if not issubclass(annotation, Node):
            yield annotation
        return
    for each in get_args(annotation):
        yield from _models(each)


def _beyond(model: type[BaseModel], known: set[str]) -> dict[str, FieldInfo]:
    return {name: field for name, field in model.model_fields.items() if name not in known}


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items() if not field.exclude]


def _fields(fields: Mapping[str, FieldInfo]) -> tuple[Field, ...]:
    return tuple(
        Field(
            field.alias or name,
            takes(field.annotation, tuple(field.metadata)),
            _default(field),
            field.description or "",
        )
        for name, field in fields.items()
        if not field.exclude
    )


def _default(field: FieldInfo) -> str:
    if field.is_required() or field.default is MISSING:
        return ""
    value = field.default
    if value is None:
        return "optional"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Choice):
        return value.type_name
    if isinstance(value, BaseModel):
        return "optional"
    if isinstance(value, float):
        return f"{value:g}"
    return "optional" if value in ((), {}) else str(value)
