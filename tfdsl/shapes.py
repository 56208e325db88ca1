"""Sizes, axes and tensors: a size is a whole number, or a polynomial over axes that are known when the model runs."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any, Literal

from tfdsl.expressions import Binary, Call, Expression, ExpressionError, Name, Numbers

Monomial = tuple[tuple["str | Quotient | Longer", int], ...]


@dataclass(frozen=True, slots=True)
class Quotient:
    """A division that rounds down and that nothing is known of: `T // 2`."""

    top: Poly
    bottom: int

    def __str__(self) -> str:
        top = f"({self.top})" if len(self.top.terms) > 1 else self.top
        return f"({top} // {self.bottom})"


@dataclass(frozen=True, slots=True)
class Longer:
    """Whether a size is above a limit: 1 where it is, else 0."""

    top: Poly
    limit: int

    def __str__(self) -> str:
        return f"({self.top} > {self.limit})"


@dataclass(frozen=True, slots=True)
class Poly:
    """A polynomial in normal form: two are equal if and only if their terms are, so `==` is a proof."""

    terms: tuple[tuple[Monomial, Fraction], ...]

    def __add__(self, other: int | Fraction | Poly) -> int | Poly:
        total = dict(self.terms)
        for monomial, factor in _poly(other).terms:
            total[monomial] = total.get(monomial, Fraction(0)) + factor
        return _normal(total)

    def __mul__(self, other: int | Fraction | Poly) -> int | Poly:
        total: dict[Monomial, Fraction] = {}
        for left, a in self.terms:
            for right, b in _poly(other).terms:
                powers = dict(left)
                for atom, power in right:
                    powers[atom] = powers.get(atom, 0) + power
                monomial = tuple(sorted(powers.items(), key=lambda item: str(item[0])))
                total[monomial] = total.get(monomial, Fraction(0)) + a * b
        return _normal(total)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> int | Poly:
        return self * -1

    def __sub__(self, other: int | Fraction | Poly) -> int | Poly:
        return self + -other

    def __rsub__(self, other: int | Fraction | Poly) -> int | Poly:
        return _poly(other) + -self

    def __pow__(self, power: int) -> int | Poly:
        product: int | Poly = 1
        for _ in range(power):
            product = self * product
        return product

    def __floordiv__(self, other: int) -> int | Poly:
        exact = _poly(self * Fraction(1, other))
        return exact if exact.whole else symbol(Quotient(self, other))

    @property
    def whole(self) -> bool:
        """Return whether every factor is an integer."""
        return all(factor.denominator == 1 for _, factor in self.terms)

    def at(self, values: Mapping[str, int]) -> int:
        """Return the number that this is when every axis has the length that `values` gives."""
        total = Fraction(0)
        for monomial, factor in self.terms:
            for atom, power in monomial:
                factor *= _length(atom, values) ** power
            total += factor
        return int(total)

    @property
    def symbols(self) -> frozenset[str]:
        """Return the names of the axes in it."""
        atoms = [atom for monomial, _ in self.terms for atom, _ in monomial]
        return frozenset[str]().union(*({atom} if isinstance(atom, str) else atom.top.symbols for atom in atoms))

    def __str__(self) -> str:
        text = " + ".join(_term(monomial, factor) for monomial, factor in self.terms)
        return text.replace("+ -", "- ")


def symbol(atom: str | Quotient | Longer) -> Poly:
    """Return the size of the axis `atom`, as yet unknown."""
    return Poly(((((atom, 1),), Fraction(1)),))


def _length(atom: str | Quotient | Longer, values: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return values[atom]
    top = atom.top.at(values)
    return top // atom.bottom if isinstance(atom, Quotient) else int(top > atom.limit)


def either(size: int | Poly, limit: int, above: int | Poly, below: int | Poly) -> int | Poly:
    """Return `above` where `size` is above `limit`, else `below`."""
    if isinstance(size, int):
        return above if size > limit else below
    return below + symbol(Longer(size, limit)) * (above - below)


def at(size: int | Poly, values: Mapping[str, int]) -> int:
    """Return `size` as a number, its symbolic axes taken from `values`."""
    return size if isinstance(size, int) else size.at(values)


def symbols(size: int | Poly) -> frozenset[str]:
    """Return the names of the symbolic axes in `size`."""
    return frozenset() if isinstance(size, int) else size.symbols


def _poly(value: int | Fraction | Poly) -> Poly:
    return value if isinstance(value, Poly) else Poly((((), Fraction(value)),) if value else ())


def _normal(total: Mapping[Monomial, Fraction]) -> int | Poly:
    kept = {monomial: factor for monomial, factor in total.items() if factor}
    if not kept:
        return 0
    if set(kept) == {()} and kept[()].denominator == 1:
        return int(kept[()])
    return Poly(tuple(sorted(kept.items(), key=lambda item: (-sum(p for _, p in item[0]), str(item[0])))))


def _term(monomial: Monomial, factor: Fraction) -> str:
    powers = [f"{atom}**{power}" if power > 1 else str(atom) for atom, power in monomial]
    if not powers:
        return str(factor)
    head = "" if factor == 1 else "-" if factor == -1 else f"{factor} * "
    return head + " * ".join(powers)


@dataclass(frozen=True, slots=True)
class Keep:
    """Which positions along an axis are real: those of `inputs` that are not padding, and others that were added.

    `before` stand before them and `after` behind; below 0, so many of theirs were taken away there.
    """

    inputs: tuple[str, ...]
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a tensor. Only `size` is what it is; the rest tells people where it comes from.

    `keep` says which of its positions are real, `parts` which input says the document that each belongs to.
    """

    size: int | Poly
    name: str = ""
    keep: Keep | None = None
    origin: tuple[str | int, ...] | None = None
    parts: str = ""

    def __str__(self) -> str:
        return str(self.size)

    @property
    def known(self) -> int:
        """Return the size, which the checker has proved to be known."""
        assert isinstance(self.size, int), f"the size {self.size} is not known"
        return self.size

    @property
    def label(self) -> str:
        """Return the name that a person gave it, or its size."""
        return self.name or str(self.size).replace("**", "^").replace(" * ", "·")


@dataclass(frozen=True, slots=True)
class Tensor:
    """What flows between nodes: its axes, and whether it holds numbers or ids (then `vocab` says how many)."""

    axes: tuple[Axis, ...]
    dtype: Literal["float", "int"] = "float"
    vocab: Axis | None = None

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.axes))}]"

    @property
    def sizes(self) -> tuple[int | Poly, ...]:
        """Return the size of each axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def count(self) -> int | Poly:
        """Return the number of elements."""
        return prod(self.sizes, start=1)

    @property
    def positions(self) -> int | Poly:
        """Return the number of elements that share a last axis."""
        return prod(self.sizes[:-1], start=1)

    @property
    def width(self) -> int:
        """Return the size of the last axis, which the checker has proved to be known."""
        return self.axes[-1].known

    @property
    def label(self) -> str:
        """Return the shape as a figure says it: `B × T × d_model`."""
        return " × ".join(axis.label for axis in self.axes)

    def last(self, axis: Axis) -> Tensor:
        """Return the tensor with its last axis replaced."""
        return replace(self, axes=(*self.axes[:-1], axis))

    def joined(self, other: Tensor) -> Tensor:
        """Return this tensor with the padding, documents and names of `other` added, which has the same sizes."""
        axes = zip(self.axes, other.axes, strict=True)
        return replace(self, axes=tuple(_joined(a, b) for a, b in axes))


def _joined(a: Axis, b: Axis) -> Axis:
    return replace(a, keep=_both(a.keep, b.keep), parts=a.parts or b.parts, name=a.name or b.name)


def _both(a: Keep | None, b: Keep | None) -> Keep | None:
    if a is None or b is None or a == b:
        return a or b
    return Keep(tuple(dict.fromkeys(a.inputs + b.inputs)), a.before, a.after)


@dataclass(frozen=True)
class Symbolic(Numbers):
    """Arithmetic over sizes: what `Numbers` does, and `+ - * / // **` of symbolic axes."""

    def name(self, term: Name) -> Any:
        value: Any = self.names.get(term.name)
        return value if isinstance(value, Poly) else super().name(term)

    def binary(self, term: Binary, left: Any, right: Any) -> Any:
        if not isinstance(left, Poly) and not isinstance(right, Poly):
            return super().binary(term, left, right)
        if term.operator in "+-*" and not isinstance(left, float) and not isinstance(right, float):
            return {"+": operator.add, "-": operator.sub, "*": operator.mul}[term.operator](left, right)
        if isinstance(right, int) and right > 0:
            if term.operator == "//":
                return left // right
            if term.operator == "/":
                exact: Any = left * Fraction(1, right)
                if isinstance(exact, int) or exact.whole:
                    return exact
            if term.operator == "**" and right <= 8:
                return left**right
        raise _unproved(term)

    def call(self, term: Call, arguments: tuple[Any, ...]) -> Any:
        if any(isinstance(argument, Poly) for argument in arguments):
            raise _unproved(term)
        return super().call(term, arguments)


def _unproved(term: Binary | Call) -> ExpressionError:
    message = "this needs an axis that is known only when the model runs"
    return ExpressionError(
        message, term.start, term.end, "axes may be added, multiplied, and divided by a number with `//`"
    )


def evaluate(expression: Expression, names: Mapping[str, Any]) -> Any:
    """Return the value of `expression`, a number or a polynomial; `names` gives a Poly for each symbolic axis."""
    return expression.fold(Symbolic(names))
