"""Plain arithmetic: integers and fractions exact, everything else in double precision, and all of it bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tfdsl.diagnostics import suggest, sure
from tfdsl.expressions.terms import Algebra, Binary, Call, ExpressionError, Name, Num, Term, Unary

Number = int | float | Fraction
LARGEST = 10**30


@dataclass(frozen=True)
class Numbers(Algebra[Number]):
    """Plain arithmetic: integers and fractions exact, everything else in double precision."""

    names: Mapping[str, Any]

    def number(self, term: Num) -> Number:
        return term.value

    def name(self, term: Name) -> Number:
        if term.name not in self.names:
            raise unknown(term, self.names)
        names: Mapping[str, object] = self.names
        value = names[term.name]
        if not isinstance(value, int | float | Fraction):  # an axis: other algebras know what to do with it
            message = f"`{term.name}` is known only when the model runs"
            raise ExpressionError(message, term.start, term.end, code="E404")
        return _bounded(value, term)

    def unary(self, term: Unary, operand: Number) -> Number:
        return -operand if term.sign == "-" else operand

    def binary(self, term: Binary, left: Number, right: Number) -> Number:
        if term.operator in ("/", "//", "%") and right == 0:
            what = "a remainder by zero" if term.operator == "%" else "a division by zero"
            raise ExpressionError(what, term.start, term.end, code="E403")
        try:
            return _bounded(OPERATORS[term.operator](left, right), term)
        except ZeroDivisionError:
            raise ExpressionError("a division by zero", term.start, term.end, code="E403") from None
        except ValueError:
            raise ExpressionError("the root of a negative number", term.start, term.end, code="E403") from None
        except OverflowError:
            raise _large(term) from None

    def call(self, term: Call, arguments: tuple[Number, ...]) -> Number:
        if term.function == "sqrt" and arguments[0] < 0:
            raise ExpressionError("the square root of a negative number", term.start, term.end, code="E403")
        if term.function == "ceil_to" and arguments[1] <= 0:
            message = "`ceil_to(x, m)` needs an m above zero"
            raise ExpressionError(message, term.start, term.end, code="E403")
        try:
            return _bounded(CALLS[term.function](*arguments), term)
        except OverflowError:
            raise _large(term) from None


def unknown(term: Name, names: Mapping[str, object] | frozenset[str]) -> ExpressionError:
    """Return the error for a name that is not among `names`, with the one that was likely meant."""
    near = suggest(term.name, sorted(names))
    help = f"did you mean `{near}`?" if near else ""
    return ExpressionError(
        f"unknown name `{term.name}`",
        term.start,
        term.end,
        help,
        "E402",
        near if near and sure(term.name, names) else "",
    )


def _large(term: Term) -> ExpressionError:
    return ExpressionError("the value is too large", term.start, term.end, code="E403")


def _bounded(value: Number, term: Term) -> Number:
    """Return `value` where it is finite and not too large, a whole fraction as an int."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _large(term)
        return value
    if abs(value.numerator) > LARGEST or value.denominator > LARGEST:
        raise _large(term)
    return value.numerator if value.denominator == 1 else value


def _divided(left: Number, right: Number) -> Number:
    if isinstance(left, float) or isinstance(right, float):
        return float(left) / float(right)
    return Fraction(left) / right


def _power(left: Number, right: Number) -> Number:
    """Return `left ** right`, its size known to be bounded before it is computed."""
    if isinstance(left, float) or not isinstance(right, int):
        result = float(left) ** float(right)
        if isinstance(result, complex):  # Python's answer for a negative base
            raise ValueError
        return result
    base = Fraction(left)
    bits = max(abs(base.numerator).bit_length(), base.denominator.bit_length())
    if bits > 1 and bits * abs(right) > 2 * LARGEST.bit_length():
        raise OverflowError
    if right > 2 or right < -2:  # 1, 0 and -1 to a power of any size
        right = right if bits > 1 else 2 - right % 2 if right > 0 else -2 + right % 2
    return base**right


def _root(value: Number) -> Number:
    if not isinstance(value, float):
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if top * top == value.numerator and bottom * bottom == value.denominator:
            return Fraction(top, bottom)
    return math.sqrt(value)


OPERATORS: Mapping[str, Callable[[Number, Number], Number]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
    "//": lambda left, right: math.floor(left // right),
    "%": lambda left, right: left % right,
    "**": _power,
}


def _multiple(value: Number, step: Number) -> Number:
    return math.ceil(_divided(value, step)) * step


CALLS: Mapping[str, Callable[..., Number]] = {
    "min": min,
    "max": max,
    "sqrt": _root,
    "ceil": math.ceil,
    "floor": math.floor,
    "ceil_to": _multiple,
}


ROUND = "`//` rounds down on purpose, and `ceil_to(x, m)` rounds up to a multiple"


def as_integer(value: Number, text: str = "") -> int:
    """Return `value` as an int; raise ExpressionError that shows the remainder where it is not whole."""
    if isinstance(value, Fraction) and value.denominator != 1:
        raise ExpressionError(remainder(value.numerator, value.denominator), 0, len(text), ROUND, "E404")
    if isinstance(value, float) and not value.is_integer():
        help = "`floor(...)`, `ceil(...)` and `ceil_to(x, m)` make a whole number"
        raise ExpressionError(f"{value:g} is not a whole number", 0, len(text), help, "E404")
    return int(value)


def remainder(top: int, bottom: int) -> str:
    quotient, rest = divmod(top, bottom)
    return f"{top} / {bottom} leaves a remainder of {rest} ({quotient} × {bottom} = {quotient * bottom})"
