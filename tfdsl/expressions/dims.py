"""Named numbers that may need each other, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tfdsl.expressions.expression import Expression
from tfdsl.expressions.numbers import Number, Numbers, unknown
from tfdsl.expressions.terms import ExpressionError, Name


def resolve_dims(
    dims: Mapping[str, Expression | Number],
) -> tuple[dict[str, Number], list[tuple[str, ExpressionError]]]:
    """Return the value of every dim that has one, and the errors, each with the dim in whose text it stands.

    A dim that needs a broken one is silent; a cycle is told once, at the first of its dims.
    """
    values: dict[str, Number] = {}
    errors: list[tuple[str, ExpressionError]] = []
    broken: set[str] = set()
    numbers = Dims(values, frozenset(dims))
    for first in dims:
        path: list[tuple[str, Iterator[str]]] = [(first, _needs(dims, first))]
        open_ = {first: 0}
        while path and first not in values and first not in broken:
            name, needs = path[-1]
            need = next(needs, None)
            if need is None:
                path.pop()
                del open_[name]
                _settle(name, dims[name], numbers, values, broken, errors)
            elif need in open_:
                cycle = (*(each for each, _ in path[open_[need] :]), need)
                errors.append((need, _cycle(dims[need], cycle)))
                broken.update(cycle)
            elif need in dims and need not in values and need not in broken:
                open_[need] = len(path)
                path.append((need, _needs(dims, need)))
    return values, errors


def _needs(dims: Mapping[str, Expression | Number], name: str) -> Iterator[str]:
    dim = dims[name]
    return iter(sorted(dim.names) if isinstance(dim, Expression) else ())


def _settle(
    name: str,
    dim: Expression | Number,
    numbers: Dims,
    values: dict[str, Number],
    broken: set[str],
    errors: list[tuple[str, ExpressionError]],
) -> None:
    """Give a dim its value, now that those that it needs have theirs."""
    if name in broken:
        return
    if not isinstance(dim, Expression):
        values[name] = dim
        return
    if dim.names & broken:
        broken.add(name)
        return
    try:
        values[name] = dim.fold(numbers)
    except ExpressionError as error:
        broken.add(name)
        errors.append((name, error))


@dataclass(frozen=True)
class Dims(Numbers):
    """Plain arithmetic over other dims; `known` are all of them, for the sake of a good guess."""

    known: frozenset[str]

    def name(self, term: Name) -> Number:
        if term.name in self.names:
            return super().name(term)
        if term.name.startswith("$"):
            message = f"`{term.name}` is a block's parameter, and a dim stands outside of blocks"
            raise ExpressionError(message, term.start, term.end, code="E402")
        error = unknown(term, self.known)
        if term.name[0].isupper() and not error.help:
            error.help = "an axis such as `T` is known only when the model runs, and a dim before"
        raise error


def _cycle(dim: Expression | Number, cycle: tuple[str, ...]) -> ExpressionError:
    text = dim.text if isinstance(dim, Expression) else ""
    name = next(iter(cycle))
    message = f"`{name}` needs itself" + (f": {' → '.join(cycle)}" if len(cycle) > 2 else "")
    error = ExpressionError(message, 0, len(text), "give one of them a number", "E406")
    error.cycle = cycle
    return error
