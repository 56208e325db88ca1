"""Where a name gets its number: the dims, a block's parameters, the copy that is being made, the symbolic axes."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# (what YAML says is of no type until it is read)

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfdsl import expressions, shapes
from tfdsl.diagnostics import suggest
from tfdsl.expressions import Expression, ExpressionError
from tfdsl.node import Node, Path
from tfdsl.parts import Parameter, Part

SILENT = ""  # the code of an error that needs no words: its cause has been told


class Mistake(Exception):
    """An expression or a parameter without a value; `loc` is its place below what was being resolved."""

    def __init__(self, error: ExpressionError, loc: Path) -> None:
        super().__init__(error.message)
        self.error = error
        self.loc = loc


@dataclass(frozen=True, slots=True)
class Bound:
    """What a parameter stands for, and where that was written."""

    value: Any
    path: Path


@dataclass(frozen=True)
class Scope(Mapping[str, Any]):
    """The numbers that names stand for. `used` gathers what was asked for, `blamed` the dims that are wrong.

    `partial` says that an input is wrong, so that an axis that nobody knows may be one of its.
    """

    dims: Mapping[str, Any]
    symbols: Mapping[str, Any]
    parameters: Mapping[str, Bound] = field(default_factory=dict[str, Bound])
    block: str = ""
    layer: int | None = None
    broken: frozenset[str] = frozenset()
    used: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    blamed: set[str] = field(default_factory=set[str])
    partial: bool = False

    def __getitem__(self, name: str) -> Any:
        if name.startswith("$"):
            return self._number(name)
        if name == "layer" and self.layer is not None:
            return self.layer
        if name in self.symbols:
            return self.symbols[name]
        if name in self.broken or name in self.blamed or (self.partial and name not in self.dims):
            raise ExpressionError("", 0, 0, code=SILENT)
        self.used.add(("dim", name))
        return self.dims[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.dims
        yield from self.broken
        yield from self.symbols
        yield from (f"${name}" for name in self.parameters)
        if self.layer is not None:
            yield "layer"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        lost = self.partial and isinstance(name, str) and name[:1].isupper()
        return lost or any(name == each for each in self)

    def parameter(self, name: str) -> Bound:
        """Return what a parameter stands for; raise ExpressionError where the block has none of that name."""
        if name not in self.parameters:
            where = (
                f"block `{self.block}` has no parameter" if self.block else "there is no parameter outside of blocks:"
            )
            near = suggest(name, tuple(self.parameters))
            help = (
                f"did you mean `${near}`?"
                if near
                else "declare it: `params: {" + name + ": ...}`"
                if self.block
                else ""
            )
            raise ExpressionError(f"{where} `{name}`", 0, len(name) + 1, help, "N305")
        self.used.add((f"block {self.block}", name))
        return self.parameters[name]

    def _number(self, name: str) -> Any:
        value = self.parameter(name[1:]).value
        if isinstance(value, str):
            return shapes.evaluate(expressions.parse(value), self)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ExpressionError(f"parameter `{name[1:]}` is not a number here", 0, len(name), "", "E402")
        return value

    def bind(self, value: Any) -> Any:
        """Return a parameter's value with the parameters of this scope and `layer` replaced by what they stand for."""
        if isinstance(value, Parameter):
            return self.parameter(value.name).value
        if isinstance(value, list | tuple):
            return [self.bind(item) for item in value]
        if isinstance(value, dict):
            return {key: self.bind(item) for key, item in value.items()}
        if not isinstance(value, str):
            return value
        if value.startswith("$") and value[1:] in self.parameters:
            return self.parameter(value[1:]).value
        return self._bound_text(value)

    def _bound_text(self, text: str) -> Any:
        if text.isidentifier() and text != "layer":
            return text
        try:
            expression = expressions.parse(text)
        except ExpressionError:
            return text
        local = any(name.startswith("$") for name in expression.names)
        if local or (self.layer is not None and "layer" in expression.names):
            return shapes.evaluate(expression, self)
        return text


def frozen(value: Any) -> Any:
    """Return a plain value in a form that can be compared and hashed."""
    if isinstance(value, dict):
        return tuple((key, frozen(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    return (type(value).__name__, value)


def substituted(part: Part, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the fields that a part was given, each leaf put through `change`; nested pipes stay as they are."""
    return {name: _changed(value, change, (name,)) for name, value in part.given().items()}


def _changed(value: Any, change: Callable[[Any], Any], loc: Path) -> Any:
    if isinstance(value, Node):
        return value
    if isinstance(value, Part):
        return {name: _changed(item, change, (*loc, name)) for name, item in value.given().items()}
    if isinstance(value, tuple):
        return tuple(_changed(item, change, (*loc, index)) for index, item in enumerate(value))
    if isinstance(value, dict):
        return {key: _changed(item, change, (*loc, key)) for key, item in value.items()}
    try:
        return change(value)
    except ExpressionError as error:
        raise Mistake(error, loc) from None


def values_of(scope: Scope) -> Callable[[Any], Any]:
    """Return the change that puts what it stands for in place of a parameter."""
    return lambda value: scope.parameter(value.name).value if isinstance(value, Parameter) else value


def numbers_of(scope: Scope) -> Callable[[Any], Any]:
    """Return the change that puts its value in place of an expression."""
    return lambda value: shapes.evaluate(value, scope) if isinstance(value, Expression) else value
