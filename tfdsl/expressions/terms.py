"""The parts of an expression, what they may stand for, and what may be wrong with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class ExpressionError(Exception):
    """What is wrong with an expression, and from which character to which; `replacement`, if any, mends it surely.

    Codes: E401 not an expression, E402 an unknown name, E403 no value (division by zero, too large), E404 not a whole
    number, E406 dims that need each other (`cycle` names them in order).
    """

    def __init__(
        self, message: str, start: int, end: int, help: str = "", code: str = "E401", replacement: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.help = help
        self.code = code
        self.replacement = replacement
        self.cycle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Num:
    """A number as written."""

    value: int | float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Name:
    """A dim (`d_model`), a symbolic axis (`T`) or a block's parameter (`$window`)."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign before a term."""

    sign: str
    operand: Term
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Two terms and what joins them: `+ - * / // % **`."""

    operator: str
    left: Term
    right: Term
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `FUNCTIONS` and its arguments."""

    function: str
    arguments: tuple[Term, ...]
    start: int
    end: int


Term = Num | Name | Unary | Binary | Call


class Algebra(ABC, Generic[T]):
    """What the parts of an expression stand for."""

    @abstractmethod
    def number(self, term: Num) -> T:
        """Return what a number stands for."""

    @abstractmethod
    def name(self, term: Name) -> T:
        """Return what a name stands for; raise ExpressionError where it is unknown."""

    @abstractmethod
    def unary(self, term: Unary, operand: T) -> T:
        """Return the operand with its sign."""

    @abstractmethod
    def binary(self, term: Binary, left: T, right: T) -> T:
        """Return both operands joined; raise ExpressionError where that has no value."""

    @abstractmethod
    def call(self, term: Call, arguments: tuple[T, ...]) -> T:
        """Return the value of a function; raise ExpressionError where it has none."""


def fold(term: Term, algebra: Algebra[T]) -> T:
    """Return what `term` stands for in `algebra`."""
    match term:
        case Num():
            return algebra.number(term)
        case Name():
            return algebra.name(term)
        case Unary():
            return algebra.unary(term, fold(term.operand, algebra))
        case Binary():
            return algebra.binary(term, fold(term.left, algebra), fold(term.right, algebra))
        case Call():
            return algebra.call(term, tuple(fold(argument, algebra) for argument in term.arguments))


def meaning(term: Term) -> str:
    """Return the expression in one way of writing it, whatever its spaces and parentheses were."""
    match term:
        case Num():
            return repr(term.value)
        case Name():
            return term.name
        case Unary():
            return f"({term.sign}{meaning(term.operand)})"
        case Binary():
            return f"({meaning(term.left)} {term.operator} {meaning(term.right)})"
        case Call():
            return f"{term.function}({', '.join(meaning(argument) for argument in term.arguments)})"
