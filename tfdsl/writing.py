"""A spec to YAML: the text that a person would write, which reads back as an equal spec."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tfdsl import source
from tfdsl.expressions import Expression
from tfdsl.node import Node, default_types
from tfdsl.parts import Parameter, Part
from tfdsl.spec import Block, Spec, types

WIDTH = 110
PLAIN = re.compile(r"[A-Za-z0-9_$.(][^\n#:{}\[\],\x00-\x1f\x7f-\xa0]*")
LINE = re.compile(r"[A-Za-z0-9_$.(][^\n#:\x00-\x1f\x7f-\xa0]*")  # what may stand alone on the rest of a line
ALWAYS = ("tfdsl", "name", "inputs", "model")
BLOCK = ("inputs", "outputs", "defaults", "blocks", "model")


def text(spec: Spec) -> str:
    """Return the spec as YAML, one node a line where it fits."""
    token = default_types.set(types(spec.defaults))
    try:
        return "".join(f"{line}\n" for line in _document(spec))
    finally:
        default_types.reset(token)


def _document(spec: Spec) -> Iterator[str]:
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if name not in ALWAYS and (name not in spec.model_fields_set or value in ("", {})):
            continue
        tree = plain(value)
        if name == "defaults":
            tree = {kind: _fields(node) for kind, node in value.items()}
        yield from _entry(name, tree, "", name in BLOCK)


def _fields(node: Node) -> dict[str, Any]:
    """Return the fields of a node of `defaults`, its type among them."""
    kind = {"type": node.type_name} if node.type_name else {}
    return {**kind, **{name: plain(value) for name, value in node.given().items()}}


def plain(value: Any) -> Any:
    """Return a part of a spec as plain values: what YAML says of it."""
    match value:
        case Node():
            return _node(value)
        case Block():
            return {"params": plain(value.params), "body": plain(value.body)} if value.params else plain(value.body)
        case Part():
            written = value.written()
            return (
                {name: plain(item) for name, item in written.items()} if isinstance(written, dict) else plain(written)
            )
        case Expression() | Parameter():
            return str(value)
        case dict():
            return {name if isinstance(name, int) else str(name): plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def _node(node: Node) -> Any:
    fields = {name: plain(value) for name, value in node.given().items()}
    if isinstance(fields.get("from"), list) and len(fields["from"]) == 1:
        fields["from"] = fields["from"][0]
    headline = node.headline
    if node.types:
        headline = "type"
        if node.type_name != default_types.get().get(node.kind, node.default_type):
            fields["type"] = node.type_name
    fields = _ordered(fields, headline)
    if not fields:
        return node.kind
    if list(fields) == [headline] and not isinstance(fields[str(headline)], dict):
        return {node.kind: fields[str(headline)]}
    return {node.kind: fields}


def _ordered(fields: dict[str, Any], headline: str | None) -> dict[str, Any]:
    """Return the fields as people write them: the name, what is read, the headline, the rest, a remark."""
    first, last = ("id", "from", "tie", "type", headline), ("expect", "about")
    middle = [name for name in fields if name not in (*first, *last)]
    return {str(name): fields[str(name)] for name in (*first, *middle, *last) if name in fields}


def _entry(key: str, value: Any, indent: str, block: bool) -> Iterator[str]:
    """Yield the lines of one entry: on one line where it fits and need not stand in a block."""
    flow = f"{indent}{key}: {scalar(value, LINE) if isinstance(value, str) else flowed(value)}"
    nested = isinstance(value, dict | list) and len(value) > 0
    if not nested or (len(flow) <= WIDTH and not block):
        yield flow
        return
    yield f"{indent}{key}:"
    yield from _block(value, indent + "  ")


def _block(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            inner = isinstance(item, list) and any(isinstance(each, dict) for each in item)
            yield from _entry(scalar(key), item, indent, inner)
        return
    for item in value:
        flow = f"{indent}- {_bare(item)}"
        if len(flow) <= WIDTH or not isinstance(item, dict | list) or not item:
            yield flow
            continue
        first, *rest = _block(item, indent + "  ")
        yield f"{indent}- {first.lstrip()}"
        yield from rest


def _bare(item: Any) -> str:
    """Return a list's item on one line; a one-key mapping needs no braces there."""
    if isinstance(item, dict) and len(item) == 1:
        ((key, value),) = item.items()
        return f"{scalar(key)}: {flowed(value)}"
    return flowed(item)


def flowed(value: Any) -> str:
    """Return a value in YAML's flow style, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flowed(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_bare(item) for item in value) + "]"
    return scalar(value)


def scalar(value: Any, plain: re.Pattern[str] = PLAIN) -> str:
    """Return a scalar as YAML, in quotes only where it would otherwise read as something else."""
    if value is None or isinstance(value, bool | int | float):
        return _number(value)
    if plain.fullmatch(value) and value.strip() == value:
        read, _ = source.parse(value, "")
        if isinstance(read, source.Scalar) and read.value == value:
            return value
    return "".join(_escaped(character) for character in json.dumps(value, ensure_ascii=False))


def _escaped(character: str) -> str:
    """Return a character as YAML takes it between double quotes."""
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _number(value: Any) -> str:
    if isinstance(value, float) and value != value:
        return ".nan"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    return re.sub(r"e([+-]?)0+(?=\d)", r"e\1", json.dumps(value))
