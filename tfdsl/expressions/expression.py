"""An expression and its value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tfdsl.expressions.numbers import ROUND, Number, Numbers, as_integer, remainder
from tfdsl.expressions.terms import Algebra, Binary, ExpressionError, T, Term, fold


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression. Two are equal when they differ in nothing but spaces and needless parentheses."""

    text: str = field(compare=False)
    tree: Term = field(compare=False, repr=False)
    names: frozenset[str] = field(compare=False, repr=False)
    meaning: str = field(repr=False)

    def fold(self, algebra: Algebra[T]) -> T:
        """Return what the expression stands for in `algebra`."""
        return fold(self.tree, algebra)

    def value(self, names: Mapping[str, Number]) -> Number:
        """Return the value, `/` exact and whole results as int; raise ExpressionError where there is none."""
        return self.fold(Numbers(names))

    def whole(self, names: Mapping[str, Number]) -> int:
        """Return the value as an integer; raise ExpressionError with the remainder where it is none."""
        numbers = Numbers(names)
        value = self.fold(numbers)
        top = self.tree
        if isinstance(value, Fraction) and isinstance(top, Binary) and top.operator == "/":
            left, right = fold(top.left, numbers), fold(top.right, numbers)
            if isinstance(left, int) and isinstance(right, int):
                raise ExpressionError(remainder(left, right), top.start, top.end, ROUND, "E404")
        return as_integer(value, self.text)

    def __str__(self) -> str:
        return self.text
