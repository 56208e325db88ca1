"""The JSON Schema of the language, made from the kinds' classes: what editors complete, explain and underline.

It is written for yaml-language-server. A choice is `if`/`then`/`else` on what was written (a word or a mapping, this
`type` or that), never `anyOf`, because the server then names what is wrong in the branch that was meant.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo

from tfdsl import node
from tfdsl.later import Later
from tfdsl.node import Node
from tfdsl.parts import Choice, Number, Part
from tfdsl.reference import switches
from tfdsl.spec import Spec

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
EXPRESSION = r"^[A-Za-z0-9_+\-*/%(),. $]+$"
BOOLEAN: Schema = {
    "type": ["boolean", "string"],
    "pattern": r"^\$[a-z][a-z0-9_]*$",
    "patternErrorMessage": "This is neither `true` nor `false`, nor a parameter such as `$bias`.",
}
PARAMETER: Schema = {"type": "string", "pattern": r"^\$[a-z][a-z0-9_]*$"}


class Writer:
    """Gathers the definitions that a schema refers to; each class is described once."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def document(self) -> Schema:
        """Describe a whole spec."""
        kinds = node.kinds()
        self.definitions["pipe"] = {"type": "array", "items": {"$ref": "#/definitions/node"}}
        for name in kinds:
            self.definitions[name] = self.kind(name)
        described = {name: self.definitions[name]["description"] for name in kinds}
        behind = {name: {"$ref": f"#/definitions/{name}"} for name in kinds}
        told: Schema = {}
        for name, each in behind.items():
            words = self.words(each)
            told[name] = {"description": described[name], **({"examples": words} if words else {}), **_within(each)}
        kinds_alone: Schema = {
            "enum": list(kinds),
            "markdownEnumDescriptions": [each.partition("\n")[0] for each in described.values()],
        }
        one_kind = {
            "type": "object",
            "properties": told,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        self.definitions["node"] = choose({"type": "string"}, kinds_alone, one_kind)
        properties = {name: self.field(field) for name, field in _named(Spec).items()} | self.sections()
        properties["defaults"] |= {"properties": told, "additionalProperties": False}
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        return {
            "$schema": DIALECT,
            "title": "tfdsl, version 1",
            **schema,
            "required": ["tfdsl"],
            "definitions": self.definitions,
        }

    def sections(self) -> dict[str, Schema]:
        """Describe the keys whose contents other rooms read."""
        path: Schema = {
            "type": "string",
            "pattern": r"\.ya?ml$",
            "patternErrorMessage": "This is not the path of a `.yaml` file.",
        }
        blocks = choose({"type": "array"}, {"type": "array", "items": path}, path)
        borrow = {"type": "object", "properties": {"blocks": blocks}, "additionalProperties": False}
        return {
            "extends": {"description": "Another spec to start from, by its path relative to this one.", **path},
            "imports": {"description": "Blocks to borrow from other specs.", **borrow},
        }

    def kind(self, name: str) -> Schema:
        """Describe what may stand behind a kind: its fields, or its headline field's value alone."""
        base = node.lookup(name)
        assert base is not None, name
        headline = "type" if base.types and not base.headline else base.headline
        if base.types:
            fields = self.typed(base, tuple(base.types.items()), base.default_type)
            bare = _words(base.types) if headline == "type" else None
        else:
            fields, bare = self.part(base), None
        if bare is None and headline is not None:
            owner = next(each for each in (base, *base.types.values()) if headline in _named(each))
            bare = self.field(_named(owner)[headline])
        alone = choose({"type": "null"}, {}, bare) if bare is not None else {"type": "null"}
        schema = choose({"type": "object"}, fields, alone)
        return {"title": name, "description": _told(base, headline), **schema}

    def typed(self, base: Any, classes: tuple[tuple[str, Any], ...], default: str | None) -> Schema:
        """Describe a mapping whose `type` says which fields it has; without one it has the default's, or any type's."""
        words = _words(dict(classes))
        known: dict[str, FieldInfo] = {}
        for _, each in classes:
            known |= _named(each)
        rest = self.fields(known)
        rest["properties"] = {"type": words, **rest["properties"]}
        schema = rest if default is not None or issubclass(base, Node) else {**rest, "required": ["type"]}
        for word, each in reversed(classes):
            of_type = self.part(each)
            of_type = {**of_type, "properties": {"type": words, **of_type["properties"]}}
            schema = choose({"properties": {"type": {"const": word}}, "required": ["type"]}, of_type, schema)
        return schema

    def part(self, part: type[BaseModel]) -> Schema:
        """Describe a mapping with the fields of one class."""
        schema = self.fields(_named(part), issubclass(part, Part))
        wanted = [name for name, field in _named(part).items() if field.is_required()]
        if part.model_config.get("extra") == "allow":
            schema["additionalProperties"] = True
        return {**schema, "required": wanted} if wanted else schema

    def fields(self, fields: Mapping[str, FieldInfo], parameters: bool = True) -> Schema:
        """Describe a mapping with these fields and no other."""
        properties = {name: self.field(field, parameters) for name, field in fields.items() if not field.exclude}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def field(self, field: FieldInfo, parameters: bool = False) -> Schema:
        """Describe a field: its type, meaning and default; with `parameters`, a block's parameter may stand there."""
        schema = self.type(field.annotation, tuple(field.metadata))
        about: Schema = {"description": field.description} if field.description else {}
        if isinstance(field.default, bool | int | float | str):
            about["default"] = field.default
        words = self.words(schema)
        if parameters and "string" not in schema.get("type", ()):
            schema = _or_parameter(schema)
        if words:
            about["examples"] = words  # what the server completes where the words stand behind a condition
        return {**about, **_within(schema)}

    def words(self, schema: Schema) -> list[Any]:
        """Return the words that may be written for a schema."""
        if "$ref" in schema:
            return self.words(self.definitions[schema["$ref"].rpartition("/")[2]])
        for key in ("enum", "examples"):
            if key in schema:
                return list(schema[key])
        inner = [schema[key] for key in ("then", "else") if key in schema] + schema.get("allOf", [])
        return list(dict.fromkeys(word for each in inner for word in self.words(each)))

    def type(self, annotation: Any, metadata: tuple[Any, ...] = ()) -> Schema:
        """Describe what a type annotation admits."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is typing.Annotated:
            return self.type(arguments[0], tuple(arguments[1:]))
        later = next((each for each in metadata if isinstance(each, Later)), None)
        if later is not None:
            return self.model(later.part())
        number = next((each for each in metadata if isinstance(each, Number)), None)
        if number is not None:
            return _number(number)
        if origin in (typing.Union, types.UnionType):
            return self.union(arguments)
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin is tuple:
            many = self.sequence(arguments)
            alone = any(isinstance(each, BeforeValidator) for each in metadata)
            return choose({"type": "array"}, many, self.type(arguments[0])) if alone else many
        if isinstance(origin or annotation, type) and issubclass(origin or annotation, Mapping | dict):
            return (
                {"type": "object", "additionalProperties": self.type(arguments[1])} if arguments else {"type": "object"}
            )
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return self.model(annotation)
        return _plain(annotation, metadata)

    def sequence(self, arguments: tuple[Any, ...]) -> Schema:
        """Describe a list; a list of nodes is a pipe."""
        if arguments[0] is Node:
            return {"$ref": "#/definitions/pipe"}
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": self.type(arguments[0])}
        return {
            "type": "array",
            "items": [self.type(each) for each in arguments],
            "minItems": len(arguments),
            "maxItems": len(arguments),
        }

    def union(self, arguments: tuple[Any, ...]) -> Schema:
        """Describe a union: each member is told from the others by what was written (a mapping, a list, a word)."""
        members = [each for each in arguments if each is not type(None)]
        described = [self.type(each) for each in members]
        if len(described) == 1:
            return described[0]
        groups: dict[tuple[str, ...], Schema] = {}
        for schema in described:
            shapes = tuple(sorted(self.shapes(schema)))
            groups[shapes] = schema if shapes not in groups else {"anyOf": [groups[shapes], schema]}
        ordered = sorted(groups.items(), key=lambda each: "string" in each[0])
        result = ordered[-1][1]
        for shapes, schema in reversed(ordered[:-1]):
            result = choose({"type": list(shapes)}, schema, result)
        return result

    def shapes(self, schema: Schema) -> set[str]:
        """Return the JSON types that a schema may admit."""
        if "$ref" in schema:
            return self.shapes(self.definitions[schema["$ref"].rpartition("/")[2]])
        if "type" in schema:
            return {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
        if "enum" in schema:
            return {"string"}
        found = [self.shapes(schema[key]) for key in ("then", "else") if key in schema]
        return set[str]().union(*found) if found else {"object", "array", "string", "number", "boolean"}

    def model(self, model: type[BaseModel]) -> Schema:
        """Describe a part of a node, once; a choice may be its type's word alone."""
        if model is Node:
            return {"$ref": "#/definitions/node"}
        name = model.__name__
        if name not in self.definitions:
            self.definitions[name] = {"type": "object"}  # while it is described, it may refer to itself
            self.definitions[name] = (
                self.choice(model) if issubclass(model, Choice) and model.types else self.single(model)
            )
        return {"$ref": f"#/definitions/{name}"}

    def choice(self, base: type[Choice]) -> Schema:
        """Describe a part with types."""
        classes = tuple(base.types.items())
        fields = self.typed(base, classes, base.default_type)
        return choose({"type": "object"}, fields, _words(base.types))

    def single(self, model: type[BaseModel]) -> Schema:
        """Describe a part without types; a headline, or a field that is never written, may stand alone."""
        fields = self.part(model)
        unwritten = next((name for name, field in model.model_fields.items() if field.exclude), None)
        headline = model.headline if issubclass(model, Part) else None
        if headline is not None or unwritten is not None:
            return choose({"type": "object"}, fields, self.field(_named(model)[headline or unwritten or ""]))
        return choose({"type": "object"}, fields, {**BOOLEAN, "examples": [True, False]}) if switches(model) else fields


def text() -> str:
    """Return the schema as JSON text."""
    return json.dumps(Writer().document(), indent=1, ensure_ascii=False) + "\n"


def choose(test: Schema, then: Schema, other: Schema) -> Schema:
    """Return the schema that is `then` where `test` holds, and `other` elsewhere."""
    return {"if": test, "then": then, "else": other}


def _within(schema: Schema) -> Schema:
    """Return a schema that may have neighbours: draft 7 ignores all that stands beside a `$ref`."""
    return {"allOf": [schema]} if "$ref" in schema else schema


def _named(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a class by the names that a spec uses, the kind's own before those that every node has."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    common = [field.alias or name for name, field in Node.model_fields.items()] if issubclass(model, Node) else []
    return {name: field for name, field in fields.items() if name not in common} | {
        name: fields[name] for name in common
    }


def _words(classes: Mapping[str, Any]) -> Schema:
    return {"enum": list(classes), "markdownEnumDescriptions": [_first_line(each) for each in classes.values()]}


def _or_parameter(schema: Schema) -> Schema:
    return choose({"type": "string", "pattern": r"^\$"}, PARAMETER, schema)


def _number(number: Number) -> Schema:
    limits = {
        "minimum": number.minimum,
        "maximum": number.maximum,
        "exclusiveMinimum": number.above,
        "exclusiveMaximum": number.below,
    }
    told = (
        "a symbolic axis such as `B`, a number, or an expression over dims"
        if number.symbolic
        else "an expression over dims"
    )
    return {
        "type": ["integer" if number.integer else "number", "string"],
        **{key: limit for key, limit in limits.items() if limit is not None},
        "pattern": EXPRESSION,
        "patternErrorMessage": f"This is neither {number.wanted()} nor {told}, such as `4 * d_model`.",
    }


def _plain(annotation: Any, metadata: tuple[Any, ...]) -> Schema:
    names: dict[Any, Schema] = {
        bool: BOOLEAN,
        int: {"type": "integer"},
        float: {"type": "number"},
        str: {"type": "string"},
    }
    schema = dict(names.get(annotation, {}))
    limits = {Ge: "minimum", Gt: "exclusiveMinimum", Le: "maximum", Lt: "exclusiveMaximum"}
    for each in metadata:
        if type(each) in limits:
            schema[limits[type(each)]] = next(iter(dataclasses.asdict(each).values()))
        if isinstance(each, StringConstraints) and each.pattern is not None:
            pattern = each.pattern if isinstance(each.pattern, str) else each.pattern.pattern
            schema["pattern"] = "^(" + pattern.removeprefix("^").removesuffix("$") + r"|\$[a-z][a-z0-9_]*)$"
            schema["patternErrorMessage"] = "A name is lower-case letters, digits and `_`."
    return schema


def _first_line(cls: type[Any]) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _told(base: type[Node], headline: str | None) -> str:
    text = _first_line(base)
    return f"{text}\n\nA value alone is its `{headline}`." if headline else text
