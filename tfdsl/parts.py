"""The pieces of a spec: frozen pydantic values whose fields may also be written as expressions or parameters."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    Strict,
    StringConstraints,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from tfdsl import expressions
from tfdsl.diagnostics import suggest
from tfdsl.expressions import Expression, ExpressionError

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

NAME = r"[a-z][a-z0-9_]*"
NAME_PATTERN = re.compile(NAME)
_PARAMETER = re.compile(rf"\${NAME}")
SILENT = "silent"  # the code of an error that needs no words: its cause is told elsewhere
WORDS_1_1 = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false", "none": "false"}


class Missing:
    """The value of a field that must be given, here or in `defaults`, and was not."""

    def __repr__(self) -> str:
        return "<not given>"


MISSING = Missing()


def needed(**about: Any) -> Any:
    """Declare a field that a node cannot do without; the node itself or `defaults` gives it."""
    return Field(default=MISSING, **about)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field that takes the whole value of a block's parameter: `$window`."""

    name: str

    def __str__(self) -> str:
        return f"${self.name}"


@dataclass(frozen=True, slots=True)
class Number:
    """What a number must be. Read from a number, or from the text of an expression, which stays one until `resolve`."""

    integer: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    words: tuple[str, ...] = ()
    symbolic: bool = False
    bare: bool = False  # no expression: it says which of several, and does not count

    def read(self, value: Any) -> Any:
        """Return `value` as a number in range, or as an `Expression`."""
        if value in self.words or (isinstance(value, Expression) and not self.bare):
            return value
        if isinstance(value, str) and not self.bare:
            return _expression(value)
        if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
            raise problem("D103", f"{said(value)} is not {self.wanted()}", expected=self.wanted())
        return self._checked(value)

    def wanted(self) -> str:
        """Say in words what is wanted: `a whole number from 1 up`."""
        what = "a whole number" if self.integer else "a number"
        limits = [
            f"from {self.minimum:.15g}" if self.minimum is not None else "",
            f"above {self.above:.15g}" if self.above is not None else "",
            f"to {self.maximum:.15g}" if self.maximum is not None else "",
            f"below {self.below:.15g}" if self.below is not None else "",
        ]
        bounds = " ".join(limit for limit in limits if limit)
        words = "".join(f", or `{word}`" for word in self.words)
        return f"{what} {bounds}".rstrip() + (" up" if bounds == limits[0] and bounds else "") + words

    def _checked(self, value: int | float | Fraction) -> int | float:
        if self.integer:
            try:
                number = expressions.as_integer(value)
            except ExpressionError as error:
                raise problem("E404", error.message, expected=self.wanted(), help=error.help) from None
            except (OverflowError, ValueError):  # `.inf` and `.nan`
                raise problem("E404", f"{value} is not a whole number", expected=self.wanted()) from None
        else:
            number = float(value) if isinstance(value, Fraction) else value
        outside = (
            (self.minimum is not None and number < self.minimum)
            or (self.above is not None and number <= self.above)
            or (self.maximum is not None and number > self.maximum)
            or (self.below is not None and number >= self.below)
        )
        if outside or number != number:
            raise problem("E405", f"{number:.15g} is out of range", expected=self.wanted())
        return number

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        number: dict[str, Any] = {"type": "integer" if self.integer else "number"}
        limits = {"minimum": self.minimum, "maximum": self.maximum, "exclusiveMinimum": self.above}
        number |= {key: limit for key, limit in limits.items() if limit is not None}
        if self.bare:
            return number
        return {"anyOf": [number, {"type": "string", "description": "an expression over dims"}]}


Positive = Annotated[int, Number(integer=True, minimum=1)]
Natural = Annotated[int, Number(integer=True, minimum=0)]
Whole = Annotated[int, Number(integer=True)]
Real = Annotated[float, Number()]
PositiveReal = Annotated[float, Number(above=0)]
Probability = Annotated[float, Number(minimum=0, maximum=1)]
Extent = Annotated[Any, Number(integer=True, minimum=1, symbolic=True)]
Shape = tuple[Extent, ...]
Truth = Annotated[bool, Strict()]  # `yes`, `on` and 1 are not `true`
Name = Annotated[str, StringConstraints(pattern=rf"^{NAME}$")]
Sides = Annotated[
    tuple[Positive, ...], BeforeValidator(lambda value: value if isinstance(value, list | tuple) else (value,))
]
Names = Annotated[tuple[Name, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class Part(BaseModel):
    """A frozen piece of a spec. An unknown field is refused; where it `holds`, a field may be a parameter (`$name`)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True, defer_build=True
    )
    headline: ClassVar[str | None] = None
    type_name: ClassVar[str] = ""
    holds: ClassVar[bool] = False

    def __init_subclass__(cls, **rest: Any) -> None:
        """Have what is no field of the bases read once: pydantic reads their annotations again for each class."""
        super().__init_subclass__(**rest)
        for base in cls.__mro__[1 : cls.__mro__.index(BaseModel)]:
            written = base.__dict__.get("__annotations__", {})
            for name in [name for name, said in written.items() if isinstance(said, str) and said[:8] == "ClassVar"]:
                written[name] = ClassVar

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Take the headline field alone, hold parameters back, and put every error into our words, with a code."""
        if cls.headline is not None and isinstance(data, str | int | float):
            data = {cls.headline: data}
        held: dict[str, Parameter] = parameters(data, cls.model_fields) if cls.holds and isinstance(data, dict) else {}
        try:
            part = handler({name: value for name, value in data.items() if name not in held} if held else data)
        except ValidationError as error:
            raise _explained(cls, error, data) from None
        for name, parameter in held.items():  # before anyone else has seen the part
            object.__setattr__(part, _field(cls, name), parameter)
            part.__pydantic_fields_set__.add(_field(cls, name))
        return part

    @classmethod
    def read(cls, data: Any) -> Self:
        """Return the part that `data` describes, or raise a ValidationError whose types are diagnostics' codes."""
        return cls.model_validate(data)

    def given(self) -> dict[str, Any]:
        """Return the fields that were written, by the names that a spec uses."""
        fields = type(self).model_fields
        return {fields[name].alias or name: getattr(self, name) for name in fields if name in self.model_fields_set}

    def written(self) -> Any:
        """Return what a spec says of this part: its fields, or a shorter form that means the same."""
        return self.given()


class Choice(Part):
    """A part with several types, each a class of its own: the bare word (`causal`) or `{type: sliding, window: 128}`.

    A base declares `class Mask(Choice)`; a type `class Sliding(Mask, type="sliding")`.
    """

    holds = True
    types: ClassVar[dict[str, type[Choice]]] = {}
    type_name: ClassVar[str] = ""
    default_type: ClassVar[str | None] = None

    def __init_subclass__(cls, type: str | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if Choice in cls.__bases__:
            cls.types = {}
        if type is not None:
            cls.type_name = type
            cls.types[type] = cls

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        if cls.type_name:
            return handler(source)
        return core_schema.no_info_plain_validator_function(cls._choose)

    @classmethod
    def _choose(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        fields = {"type": value} if isinstance(value, str) else value
        if not isinstance(fields, dict):
            raise problem("D103", f"{said(value)} is not a word or a mapping with a `type`", expected=one_of(cls.types))
        chosen = choose_type(cls, fields)
        return chosen.read({key: entry for key, entry in fields.items() if key != "type"})

    @model_serializer(mode="wrap")
    def _dumped(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return all fields, and the type by which they are read again."""
        return {"type": self.type_name, **handler(self)}

    def given(self) -> dict[str, Any]:
        return {"type": self.type_name, **super().given()}

    def written(self) -> Any:
        return self.given() if self.model_fields_set else self.type_name


def choose_type(base: Any, fields: Mapping[Any, Any], default: str | None = None) -> Any:
    """Return the class of `base` that `fields["type"]` names, or raise with the types that there are."""
    word = fields.get("type", default or base.default_type)
    if word == SILENT:
        raise problem(SILENT, "the type in `defaults` is unknown")
    if word is None:
        for key in fields:
            if suggest(key, ("type",)):
                unknown = problem("D102", f"unknown field `{key}`", word=key, candidates=("type",), at="key")
                raise located(unknown, (key,), word)
        raise problem("D105", "`type` is missing", expected=one_of(base.types))
    if not isinstance(word, str) or word not in base.types:
        at = ("type",) if "type" in fields else ()
        raise located(
            problem("D104", f"unknown type {said(word)}", word=str(word), candidates=tuple(base.types)), at, word
        )
    return base.types[word]


def parameters(data: dict[Any, Any], fields: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the fields of `data` that hold a block's parameter; an `id` is what others call it by, and never does."""
    names = {*fields, *(field.alias for field in fields.values())} - {"id"}
    return {
        name: value if isinstance(value, Parameter) else Parameter(value[1:])
        for name, value in data.items()
        if name in names and (isinstance(value, Parameter) or (isinstance(value, str) and _PARAMETER.fullmatch(value)))
    }


def _field(cls: type[Part], name: str) -> str:
    return next((field for field, info in cls.model_fields.items() if info.alias == name), name)


def problem(code: str, message: str, **context: Any) -> PydanticCustomError:
    """Make the error that a validator raises: its type is the diagnostic's code, its context the facts beside it."""
    return PydanticCustomError(code, "{message}", {"message": message, **context})  # type: ignore[arg-type]


def located(error: PydanticCustomError, loc: tuple[str | int, ...], value: Any) -> ValidationError:
    """Place `error` at `loc`, below the value that is being validated."""
    return ValidationError.from_exception_data("spec", [InitErrorDetails(type=error, loc=loc, input=value)])


def again(error: ValidationError, loc: tuple[str | int, ...]) -> ValidationError:
    """Raise the errors of `error` again, below `loc`."""
    lines = [
        InitErrorDetails(
            type=PydanticCustomError(line["type"], "{message}", line["ctx"]),  # type: ignore[arg-type]
            loc=(*loc, *line["loc"]),
            input=line["input"],
        )
        for line in error.errors(include_url=False)
    ]
    return ValidationError.from_exception_data(error.title, lines)


def said(value: Any) -> str:
    """Quote a value in a message, cut to a length that a line can hold."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    kind = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else ""
    return kind or f"`{text if len(text) <= 40 else text[:39] + '…'}`"


def phrase(value: Any) -> str:
    """Return a value as a spec says it: `{type: sliding, window: 5}`, `none`."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case dict():
            return f"{{{', '.join(f'{key}: {phrase(each)}' for key, each in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(map(phrase, value))}]"
        case _:
            return str(value)


def one_of(words: Any) -> str:
    """Join words as a choice: `causal`, `full` or `sliding`."""
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _expression(text: str) -> Expression:
    try:
        return expressions.parse(text)
    except ExpressionError as error:
        raise problem("E401", error.message, start=error.start, end=error.end, help=error.help or "") from None


def _explained(cls: type[Part], error: ValidationError, data: Any) -> ValidationError:
    """Replace pydantic's words for an unknown field by ours, which know the fields that there are."""
    fields = ("type",) * bool(cls.type_name) + tuple(field.alias or name for name, field in cls.model_fields.items())
    free = tuple(field for field in fields if not (isinstance(data, dict) and field in data))
    types = cls.types if issubclass(cls, Choice) else {}
    lines: list[InitErrorDetails] = []
    for line in error.errors(include_url=False):
        kind: Any = line["type"]
        if kind in ("extra_forbidden", "invalid_key") and len(line["loc"]) == 1:
            word = str(line["loc"][0])
            owners = [name for name, other in types.items() if word in other.model_fields]
            facts = {"candidates": free, "fields": fields, "of": owners, "at": "key"}
            kind = problem("D102", f"unknown field `{word}`", word=word, **facts)
        elif "message" in line.get("ctx", {}):
            kind = PydanticCustomError(kind, "{message}", line.get("ctx"))
        else:
            kind = _translated(line)
        lines.append(InitErrorDetails(type=kind, loc=line["loc"], input=line["input"]))
    return ValidationError.from_exception_data(cls.__name__, lines)


def _translated(line: Any) -> PydanticCustomError:
    value, kind = line["input"], line["type"]
    field = line["loc"][-1] if line["loc"] else "value"
    if field == "[key]":
        kind = "string_pattern_mismatch"
    if kind == "missing" and isinstance(field, int):
        return problem("D105", f"the list ends too soon: it has {field} of its values")
    if isinstance(field, int):  # a place in a list, which its name says better
        field = next((each for each in reversed(line["loc"]) if isinstance(each, str)), "value")
    if kind == "missing":
        return problem("D105", f"`{field}` is missing", field=str(field))
    if kind == "literal_error":
        found: list[tuple[str, str]] = re.findall(r"'([^']*)'|\b(True|False)\b", line["ctx"]["expected"])
        words = tuple(text or truth.lower() for text, truth in found)
        if not words:
            return problem("D104", f"unknown `{field}`: {said(value)}", expected=line["ctx"]["expected"])
        word = WORDS_1_1.get(str(value), "")  # `yes`, where `true` may stand
        near = word if word in words else str(value)
        return problem("D104", f"unknown `{field}`: {said(value)}", word=near, candidates=words)
    if kind == "string_pattern_mismatch":
        return problem("D106", f"{said(value)} is not a name: names are lower-case letters, digits and `_`")
    if kind.startswith("bool"):
        return not_a_truth(value)
    wanted = {"string": "a text", "tuple": "a list", "list": "a list", "dict": "a mapping", "model": "a mapping"}
    return problem("D103", f"{said(value)} is not {wanted.get(kind.split('_')[0], 'what is wanted here')}")


def not_a_truth(value: Any, expected: str = "") -> PydanticCustomError:
    """Make the error for what should be `true` or `false`; the words of YAML 1.1 (`yes`, `off`) are known."""
    word = WORDS_1_1.get(str(value).lower(), str(value).lower())
    near = suggest(word, ("true", "false"))
    facts = {"word": near, "candidates": (near,)} if near is not None else {}
    return problem(
        "D103", f"{said(value)} is not `true` or `false`", **facts, **({"expected": expected} if expected else {})
    )
