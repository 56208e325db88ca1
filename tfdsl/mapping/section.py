"""The `weights` section: how the tensors of a foreign checkpoint map on to this model's weights."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainValidator, TypeAdapter, model_validator

from tfdsl.expressions import ExpressionError
from tfdsl.mapping.axes import AxesError, pattern
from tfdsl.mapping.names import template
from tfdsl.parts import Name, Natural, Part, Positive, Real, Truth, problem, said

SOURCES = ("from", "stack", "either", "fill", "new")


def _name(value: Any, ours: bool = False) -> str:
    if not isinstance(value, str):
        raise problem("D103", f"{said(value)} is not a tensor's name")
    try:
        template(value, ours)
    except ExpressionError as error:
        raise problem("D122", error.message, start=error.start, end=error.end, help=error.help) from None
    return value


def _source(value: Any) -> Any:
    """Return a source: a name, the parts of a join, or one that is changed first."""
    if isinstance(value, str):
        return _name(value)
    if isinstance(value, Take):
        return value
    if isinstance(value, list | tuple):
        if not value:
            raise problem("D103", "nothing is joined", expected="names of tensors")
        return _takes.validate_python(value)
    if isinstance(value, dict):
        return Take.read(value)
    raise problem("D103", f"{said(value)} is not a tensor's name", expected="a name, a list of names, or a mapping")


def _pattern(value: Any) -> str:
    try:
        return pattern(value).text if isinstance(value, str) else _name(value)
    except AxesError as error:
        raise problem("D123", str(error)) from None


Ours = Annotated[str, PlainValidator(lambda value: _name(value, ours=True))]
Theirs = Annotated[str, PlainValidator(_name)]
Source = Annotated[Any, PlainValidator(_source)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
Several = Annotated[tuple[Theirs, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class Take(Part):
    """Where one of our weights comes from, and what is done to it on the way, in the order of these fields."""

    headline = "from"

    from_: Source | None = Field(
        None, alias="from", description="A tensor's name; a list, joined along the first axis; or one changed before."
    )
    stack: Source | None = Field(
        None,
        description="The same, once for each number of a counter, set on top of each other along a new first axis.",
    )
    over: Name | None = Field(None, description="The counter of `stack`; the one that our name does not have.")
    times: Positive | None = Field(None, description="How many `stack` takes, from 0; as our weight's first axis says.")
    either: tuple[Take, ...] | None = Field(None, description="The first of these whose tensors the checkpoint has.")
    fill: Real | None = Field(None, description="The weight is this number throughout: the checkpoint has none.")
    new: Truth = Field(default=False, description="The checkpoint has none, and the weight starts as `init` says.")
    also: Several = Field((), description="Names under which a checkpoint may hold the very same tensor once more.")
    heights: tuple[Positive, ...] | None = Field(
        None, description="The rows of each part of a join; export needs them, import knows them."
    )
    transpose: Truth = Field(default=False, description="Swap the last two axes; a vector stays as it is.")
    rearrange: Annotated[str, PlainValidator(_pattern)] | None = Field(
        None, description="A new order of axes, as einops writes it: `(h three d) w -> (three h d) w`."
    )
    sizes: dict[Name, Positive] = Field({}, description="The sizes of axes in `rearrange`.")
    rows: tuple[Natural, Positive] | None = Field(
        None, description="Only the rows from the first number to the second."
    )
    at: Natural | None = Field(None, description="Only the entry of this number along the first axis, which goes.")
    scale: Real = Field(default=1.0, description="Times this.")
    add: Real = Field(default=0.0, description="Plus this, after `scale`.")

    @model_validator(mode="before")
    @classmethod
    def _list_alone(cls, data: Any) -> Any:
        return {"from": data} if isinstance(data, list | tuple) else data

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if name in self.given()]
        if len(given) != 1:
            message = f"`{given[0]}` and `{given[1]}` cannot both be" if given else "it says no tensor"
            raise problem("D124", message, help=f"give one of {', '.join(f'`{name}`' for name in SOURCES)}")
        if self.stack is None and (self.over is not None or self.times is not None):
            raise problem("D124", "`over` and `times` belong to `stack`")
        if self.rearrange is None and self.sizes:
            raise problem("D124", "`sizes` belongs to `rearrange`")
        if self.heights is not None and not isinstance(self.from_, tuple):
            raise problem("D124", "`heights` belongs to a list of tensors in `from`")
        odd = [name for name in self.sizes if name not in pattern(self.rearrange or "->").names]
        if odd:
            raise problem("D123", f"there is no axis `{odd[0]}` in the pattern")
        return self

    def written(self) -> Any:
        """Return what a spec says: a name or a list alone where nothing is done to it."""
        given = self.given()
        return given["from"] if list(given) == ["from"] else given


_takes: TypeAdapter[tuple[Take, ...]] = TypeAdapter(tuple[Take, ...])


class Weights(Part):
    """The `weights` section: our names, with gaps for numbers and endings, and where each comes from."""

    map: dict[Ours, Take] = Field(
        default={}, description="For each weight of this model where it comes from: `layers.$i.norm.*: h.$i.ln.*`."
    )
    ignore: Patterns = Field(
        default=(), description="Tensors of the checkpoint that are left out: `*.rotary_emb.inv_freq`; `*` is any text."
    )
    zeros: Several = Field(
        default=(), description="Tensors that are left out because they are 0 throughout, which is checked."
    )
    prefix: Several = Field(
        default=(), description="What some checkpoints have before every name, and others have not."
    )
