"""The document: a spec as a frozen pydantic graph, from values or from Python objects, and back to YAML."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, ModelWrapValidatorHandler, TypeAdapter, ValidationError, field_validator, model_validator

from tfdsl import node, source
from tfdsl.diagnostics import Diagnostic, Edit, Span, suggest, sure
from tfdsl.document import Document
from tfdsl.later import Later
from tfdsl.node import Node, Pipe
from tfdsl.parts import SILENT, Name, Names, Natural, Part, Positive, PositiveReal, Real, Shape, problem

if TYPE_CHECKING:
    from tfdsl.mapping import Weights
    from tfdsl.settings import Sample, Train

    Training: TypeAlias = Train | None
    Sampling: TypeAlias = Sample | None
    Mapped: TypeAlias = Weights | None
else:
    Training = Annotated[Any, Later("tfdsl.settings", "Train")]
    Sampling = Annotated[Any, Later("tfdsl.settings", "Sample")]
    Mapped = Annotated[Any, Later("tfdsl.mapping", "Weights")]

_pipe: TypeAdapter[Pipe] = TypeAdapter(Pipe)
_streams: TypeAdapter[dict[str, Pipe]] = TypeAdapter(dict[Name, Pipe])


class Input(Part):
    """A named tensor that the model is given.

    Tokens (`vocab`), numbers (`dtype: float`), a mask (`keeps`), or which document each position belongs to (`parts`).
    """

    shape: Shape = Field(description="Its axes: sizes, or capitals for those known only when the model runs.")
    vocab: Positive | None = Field(None, description="The number of words, for tokens.")
    pad: Natural | None = Field(
        None, description="The token that stands for nothing; its positions are never attended to."
    )
    keeps: Names = Field(
        (),
        description="For a mask [B, T]: the inputs whose positions it tells of, 1 where one is real and 0 where it is "
        "padding, which is never attended to. In place of a `pad`, or beside one.",
    )
    parts: Names = Field(
        (),
        description="For whole numbers [B, T]: the inputs whose rows they part into documents. A new document begins "
        "where the number changes; attention sees its own document alone, and positions start again with each. It may "
        "be left out when the model runs: a row is one document then.",
    )
    dtype: Literal["int", "float"] | None = Field(
        None,
        description="`int` for tokens, `float` for numbers; `int` without `vocab` for positions and the like.",
    )

    @model_validator(mode="after")
    def _tokens_or_numbers(self) -> Self:
        said = (self.vocab is not None, self.dtype == "float", bool(self.keeps), bool(self.parts))
        if sum(said) > 1 or not (any(said) or self.dtype):
            raise problem(
                "D118",
                "an input is tokens or numbers",
                help="give `vocab: <words>` for tokens, `dtype: float` for numbers, `keeps: <input>` for a mask, "
                "`parts: <input>` for documents",
            )
        if self.pad is not None and self.vocab is None:
            raise problem("D118", "only tokens have a `pad`")
        return self


class Block(Part):
    """A reusable pipe, with parameters that each use may set."""

    params: dict[Name, Any] = Field({}, description="The parameters and their defaults.")
    body: Pipe = Field(description="The pipe.")

    headline = "body"

    @model_validator(mode="before")
    @classmethod
    def _body_alone(cls, data: Any) -> Any:
        return {"body": data} if isinstance(data, list | tuple) else data


class Init(Part):
    """How weights start: matrices and tables from a normal distribution, vectors at 0, the scales of norms at 1."""

    std: PositiveReal = Field(default=0.02, description="The standard deviation.")
    residual_scale: PositiveReal = Field(default=1.0, description="Times this for a residual branch's last matrix.")


class Spec(Part):
    """A whole spec. What may be left out has the same meaning as an empty entry.

    `train`, `sample` and `weights` are None where it has no such section.
    """

    tfdsl: Literal[1] = Field(1, description="The version of the language.")
    name: Name = Field(description="The model's name.")
    about: str = Field("", description="One line for people.")
    dims: dict[Name, Real] = Field({}, description="Named sizes and numbers; expressions over each other in any order.")
    inputs: dict[Name, Input] = Field(description="Named tensors that the model is given.")
    outputs: dict[Name, Shape] = Field({}, description="Named results, with the shape that each must have.")
    defaults: dict[str, Node] = Field({}, description="Fields that every node of a kind starts from.")
    blocks: dict[Name, Block] = Field({}, description="Reusable pipes.")
    model: Pipe | dict[Name, Pipe] = Field(description="One pipe, or several named ones.")
    init: Init = Field(Init(), description="How weights start.")
    train: Training = Field(None, description="Settings of the trainer.")
    sample: Sampling = Field(None, description="Settings of the sampler.")
    weights: Mapped = Field(None, description="How a foreign checkpoint's tensors map on to this model's.")

    @model_validator(mode="wrap")
    @classmethod
    def _with_default_types(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Let a node without a type take that of `defaults`, wherever in the spec it stands."""
        defaults = data.get("defaults") if isinstance(data, dict) else None
        named = types(defaults) if isinstance(defaults, dict) else {}
        token = node.default_types.set(named)
        try:
            return handler({key: node.adopted(each, named) for key, each in data.items()} if named else data)
        finally:
            node.default_types.reset(token)

    @field_validator("defaults", mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {kind: body if isinstance(body, Node) else {kind: body} for kind, body in value.items()}

    @field_validator("model", mode="plain")
    @classmethod
    def _pipe_or_streams(cls, value: Any) -> Pipe | dict[str, Pipe]:
        return _streams.validate_python(value) if isinstance(value, dict) else _pipe.validate_python(value)

    @property
    def streams(self) -> dict[str, Pipe]:
        """Return the pipes by name; one that stands alone is called `model`."""
        return self.model if isinstance(self.model, dict) else {"model": self.model}

    def to_yaml(self) -> str:
        """Return the spec as text, which reads back as an equal spec."""
        from tfdsl.writing import text

        return text(self)


def read(document: Document) -> tuple[Spec | None, list[Diagnostic]]:
    """Return the spec that a document says, or None, and what is wrong with its form."""
    if document.value is None:
        return None, []
    try:
        return Spec.model_validate(source.plain(document.value)), []
    except ValidationError as error:
        lines = [line for line in error.errors(include_url=False) if line["type"] != SILENT]
        return None, [_diagnostic(document, line) for line in _renamed(lines)]


def _renamed(lines: list[Any]) -> list[Any]:
    """Return the errors without the fields that are missing because they are misspelt, or called something else."""
    unknown = [line for line in lines if line["type"] == "D102"]
    meant = {(*line["loc"][:-1], _near(line)) for line in unknown}
    kept = [line for line in lines if line["type"] != "D105" or line["loc"] not in meant]
    for line in unknown:
        beside = [each for each in kept if each["type"] == "D105" and each["loc"][:-1] == line["loc"][:-1]]
        others = [each for each in unknown if each["loc"][:-1] == line["loc"][:-1]]
        if len(beside) == len(others) == 1 and _near(line) is None:
            kept.remove(beside[0])
            line["ctx"]["help"] = f"is it `{beside[0]['loc'][-1]}`, which is missing?"
            del line["ctx"]["candidates"]
    return kept


def types(defaults: dict[str, Any]) -> dict[str, str]:
    """Return the types that `defaults` gives to kinds that have several."""
    types: dict[str, str] = {}
    for kind, body in defaults.items():
        named = body.type_name if isinstance(body, Node) else body.get("type") if isinstance(body, dict) else body
        base = node.lookup(kind)
        if isinstance(named, str) and named and base is not None and base.types:
            types[kind] = named if named in base.types else SILENT
    return types


def _diagnostic(document: Document, line: Any) -> Diagnostic:
    """Put one of pydantic's errors where it was written."""
    context: dict[str, Any] = line.get("ctx", {})
    loc = line["loc"]
    if loc[:1] == ("defaults",) and len(loc) > 2:
        loc = (*loc[:2], *loc[3:])
    path = tuple(step for step in loc if step != "[key]")
    key = context.get("at") == "key" or "[key]" in loc
    span = document.span(path, key)
    if "start" in context and span is not None:
        span = inside(document, path, context["start"], context["end"]) or span
    if line["type"] == "D105" and span is not None:
        span = first_line(document, path) or span
    help, edits = advice(context, span)
    message = say(line["type"], context["message"], path)
    return Diagnostic(line["type"], message, span, _expected(context), help=help, edits=edits)


def say(code: str, message: str, path: tuple[str | int, ...]) -> str:
    """Return the message about a value, which begins with the name of the field that holds it."""
    field = next((step for step in reversed(path) if isinstance(step, str)), None)
    return f"`{field}`: {message}" if field is not None and code in ("D103", "E404", "E405") else message


def _near(line: Any) -> str | None:
    context: dict[str, Any] = line.get("ctx", {})
    return suggest(context["word"], context.get("candidates", ())) if "word" in context else None


def advice(context: Map[str, Any], span: Span | None) -> tuple[str, tuple[Edit, ...]]:
    """Return what to do about an error, and the edit that does it where that is certain."""
    word, candidates = context.get("word"), context.get("candidates", ())
    near = suggest(word, candidates) if word is not None else None
    if near is not None:
        certain = span is not None and sure(str(word), candidates)
        return f"did you mean `{near}`?", (Edit(span, near),) if certain and span is not None else ()
    if context.get("of"):
        return f"it is a field of {_types(context['of'])}", ()
    candidates = context.get("fields", candidates)
    near = suggest(word, candidates) if word is not None else None
    if near is not None:
        return f"did you mean `{near}`, which is there already?", ()
    return context.get("help", "") or (f"there are {listed(candidates)}" if candidates else ""), ()


def _types(names: Sequence[str]) -> str:
    quoted = [f"`type: {name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def first_line(document: Document, path: tuple[str | int, ...]) -> Span | None:
    """Return the span of the first key of the mapping at `path`, where the mapping has several lines."""
    value = source.find(document.value, path) if document.value is not None else None
    if isinstance(value, source.Mapping) and value.entries and value.span.line != value.span.end_line:
        return value.entries[0][0].span
    return None


def _expected(context: dict[str, Any]) -> str:
    return f"expected {context['expected']}" if context.get("expected") else ""


def listed(words: Any) -> str:
    """Join words in a list that people read: `a`, `b` and `c`."""
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def inside(document: Document, path: tuple[str | int, ...], start: int, end: int) -> Span | None:
    """Return the span of some characters of the scalar at `path`, where it stands on one line as it is read."""
    if document.value is None:
        return None
    value = source.find(document.value, path)
    if not isinstance(value, source.Scalar) or value.span.line != value.span.end_line:
        return None
    at = value.span
    quote = 1 if value.quoted else 0
    if at.end_column - at.column != len(value.text) + 2 * quote:
        return None  # an escape, or spaces that were folded
    column = at.column + quote
    return Span(at.file, at.line, column + start, at.line, column + max(end, start + 1))
