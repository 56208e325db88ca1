"""Numbers written as expressions: parsed by a small whitelist, bounded in size and value, never given to `eval`."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic, TypeVar

from tfdsl.diagnostics import suggest

T = TypeVar("T")
Number = int | float | Fraction

LONGEST = 500  # characters
DEEPEST = 40  # parentheses, calls, signs and powers within each other
MOST = 100  # operators, which bounds the depth of the tree
LARGEST = 10**30
FUNCTIONS = {"min": (2, 99), "max": (2, 99), "sqrt": (1, 1), "ceil": (1, 1), "floor": (1, 1), "ceil_to": (2, 2)}
POWERS = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "**": 4}
SIGN = 3  # binds tighter than `*`, looser than `**`, as in Python
TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)|(?P<name>\$?[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>\*\*|//|[-+*/%(),])|(?P<end>\Z)|(?P<other>.))",
    re.DOTALL,
)
INSTEAD = {"^": "**", "×": "*", "·": "*", "−": "-", "–": "-", "÷": "/", "[": "(", "]": ")"}


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


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression. Two are equal when they differ in nothing but spaces and needless parentheses."""

    text: str = field(compare=False)
    tree: Term = field(compare=False, repr=False)
    names: frozenset[str] = field(compare=False, repr=False)
    meaning: str = field(repr=False)

    def fold(self, algebra: Algebra[T]) -> T:
        """Return what the expression stands for in `algebra`."""
        return _fold(self.tree, algebra)

    def value(self, names: Mapping[str, Number]) -> Number:
        """Return the value, `/` exact and whole results as int; raise ExpressionError where there is none."""
        return self.fold(Numbers(names))

    def whole(self, names: Mapping[str, Number]) -> int:
        """Return the value as an integer; raise ExpressionError with the remainder where it is none."""
        numbers = Numbers(names)
        value = self.fold(numbers)
        top = self.tree
        if isinstance(value, Fraction) and isinstance(top, Binary) and top.operator == "/":
            left, right = _fold(top.left, numbers), _fold(top.right, numbers)
            if isinstance(left, int) and isinstance(right, int):
                raise ExpressionError(_remainder(left, right), top.start, top.end, ROUND, "E404")
        return as_integer(value, self.text)

    def __str__(self) -> str:
        return self.text


ROUND = "`//` rounds down on purpose, and `ceil_to(x, m)` rounds up to a multiple"


def as_integer(value: Number, text: str = "") -> int:
    """Return `value` as an int; raise ExpressionError that shows the remainder where it is not whole."""
    if isinstance(value, Fraction) and value.denominator != 1:
        raise ExpressionError(_remainder(value.numerator, value.denominator), 0, len(text), ROUND, "E404")
    if isinstance(value, float) and not value.is_integer():
        help = "`floor(...)`, `ceil(...)` and `ceil_to(x, m)` make a whole number"
        raise ExpressionError(f"{value:g} is not a whole number", 0, len(text), help, "E404")
    return int(value)


def _remainder(top: int, bottom: int) -> str:
    quotient, rest = divmod(top, bottom)
    return f"{top} / {bottom} leaves a remainder of {rest} ({quotient} × {bottom} = {quotient * bottom})"


# -- parsing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Token:
    """A number, a name, a mark or the end, and where it stands."""

    kind: str
    text: str
    start: int
    end: int

    def error(self, message: str, help: str = "", replacement: str = "") -> ExpressionError:
        """Return an error in the place of this token."""
        return ExpressionError(message, self.start, self.end, help, replacement=replacement)

    @property
    def said(self) -> str:
        """Return the token in words."""
        return f"`{self.text}`" if self.text else "the end"


def parse(text: str) -> Expression:
    """Return the expression that `text` is; raise ExpressionError, which says where and what is wrong."""
    if len(text) > LONGEST:
        raise ExpressionError(f"an expression may have {LONGEST} characters", 0, len(text))
    tokens = _tokens(text)
    if tokens[0].kind == "end":
        raise ExpressionError("an expression is wanted here", 0, len(text))
    parser = Parser(tokens)
    tree = parser.term(0, 0)
    parser.finish()
    names = frozenset(token.text for token, after in zip(tokens, tokens[1:], strict=False) if _is_name(token, after))
    return Expression(text, tree, names, _meaning(tree))


def _is_name(token: Token, after: Token) -> bool:
    return token.kind == "name" and after.text != "("


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while not tokens or tokens[-1].kind != "end":
        found = TOKEN.match(text, at)
        assert found is not None and found.lastgroup is not None  # `other` and `end` match whatever is left
        kind = found.lastgroup
        token = Token(kind, found.group(kind), found.start(kind), found.end(kind))
        if kind == "other":
            instead = INSTEAD.get(token.text, "")
            help = f"write `{instead}`" if instead else ""
            shown = token.text if token.text.isprintable() else f"U+{ord(token.text):04X}"
            raise token.error(f"`{shown}` has no place in an expression", help, instead)
        tokens.append(token)
        at = token.end
    return tokens


class Parser:
    """A precedence climber over the tokens of one expression."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.operators = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def term(self, power: int, depth: int) -> Term:
        """Read a term and all that binds to it at least as tightly as `power`."""
        if depth > DEEPEST:
            raise self.next.error(f"the expression is nested more than {DEEPEST} deep")
        left = self.first(depth)
        while (own := POWERS.get(self.next.text, 0)) and own > power:
            operator = self.take()
            self.operators += 1
            if self.operators > MOST:
                raise operator.error(f"an expression may have {MOST} operators")
            right_to_left = operator.text == "**"
            right = self.term(own - 1 if right_to_left else own, depth + (1 if right_to_left else 0))
            left = Binary(operator.text, left, right, left.start, right.end)
        return left

    def first(self, depth: int) -> Term:
        """Read a number, a name, a call, a parenthesis, or a sign and its operand."""
        token = self.take()
        if token.text in ("-", "+"):
            operand = self.term(SIGN - 1, depth + 1)
            return Unary(token.text, operand, token.start, operand.end)
        if token.text == "(":
            inner = self.term(0, depth + 1)
            self.close(token)
            return inner
        if token.kind == "number":
            return self.number(token)
        if token.kind == "name":
            return self.call(token, depth) if self.next.text == "(" else Name(token.text, token.start, token.end)
        what = (
            "the expression ends too early"
            if token.kind == "end"
            else f"a number or a name is wanted before {token.said}"
        )
        raise token.error(what)

    def number(self, token: Token) -> Num:
        digits = token.text
        if self.next.kind == "name" and self.next.start == token.end:
            after = self.next
            if after.text.startswith("_") and after.text.strip("_0123456789") == "":
                plain = digits + after.text.replace("_", "")
                message, help = f"`{digits}{after.text}` is no number", f"write `{plain}`"
                raise ExpressionError(message, token.start, after.end, help, replacement=plain)
            whole = f"{digits} * {after.text}"
            message, help = f"`{digits}{after.text}` is neither a number nor a name", f"write `{whole}` for the product"
            raise ExpressionError(message, token.start, after.end, help)
        value = int(digits) if digits.isdigit() else float(digits)
        if value > LARGEST and (isinstance(value, int) or math.isinf(value)):
            raise token.error("the number is too large")
        return Num(value, token.start, token.end)

    def call(self, name: Token, depth: int) -> Call:
        """Read the arguments of a function."""
        opening = self.take()
        if name.text not in FUNCTIONS:
            near = suggest(name.text, FUNCTIONS)
            help = (
                f"did you mean `{near}`?"
                if near
                else f"the functions are {', '.join(f'`{each}`' for each in FUNCTIONS)}"
            )
            raise name.error(f"`{name.text}` is not a function", help, near or "")
        arguments: list[Term] = []
        if self.next.text != ")":
            arguments.append(self.term(0, depth + 1))
            while self.next.text == ",":
                self.take()
                arguments.append(self.term(0, depth + 1))
        closing = self.close(opening)
        least, most = FUNCTIONS[name.text]
        if not least <= len(arguments) <= most:
            wanted = f"{least} argument{'s' if least > 1 else ''}" + (" or more" if most > least else "")
            message = f"`{name.text}` takes {wanted}, and this call has {len(arguments)}"
            raise ExpressionError(message, name.start, closing.end)
        return Call(name.text, tuple(arguments), name.start, closing.end)

    def close(self, opening: Token) -> Token:
        """Read the parenthesis that closes `opening`."""
        token = self.take()
        if token.text == ")":
            return token
        if token.kind == "end":
            raise opening.error("this `(` is never closed", "close it with `)`")
        raise self.stray(token)

    def finish(self) -> None:
        """Fail unless all was read."""
        if self.next.kind != "end":
            raise self.stray(self.next)

    def stray(self, token: Token) -> ExpressionError:
        """Return the error for a token that nothing leads to."""
        if token.text == ")":
            return token.error("this `)` closes nothing", "remove it", "")
        if token.text == ",":
            return token.error("a comma stands between a function's arguments alone")
        before = self.tokens[self.tokens.index(token) - 1]
        help = (
            f"`{before.text} * {token.text}` is the product"
            if token.text != "("
            else f"`{before.text} * (` is the product"
        )
        return token.error(f"an operator is wanted between {before.said} and {token.said}", help)


def _meaning(term: Term) -> str:
    """Return the expression in one way of writing it, whatever its spaces and parentheses were."""
    match term:
        case Num():
            return repr(term.value)
        case Name():
            return term.name
        case Unary():
            return f"({term.sign}{_meaning(term.operand)})"
        case Binary():
            return f"({_meaning(term.left)} {term.operator} {_meaning(term.right)})"
        case Call():
            return f"{term.function}({', '.join(_meaning(argument) for argument in term.arguments)})"


# -- evaluation -------------------------------------------------------------------------------------------------------


def _fold(term: Term, algebra: Algebra[T]) -> T:
    match term:
        case Num():
            return algebra.number(term)
        case Name():
            return algebra.name(term)
        case Unary():
            return algebra.unary(term, _fold(term.operand, algebra))
        case Binary():
            return algebra.binary(term, _fold(term.left, algebra), _fold(term.right, algebra))
        case Call():
            return algebra.call(term, tuple(_fold(argument, algebra) for argument in term.arguments))


@dataclass(frozen=True)
class Numbers(Algebra[Number]):
    """Plain arithmetic: integers and fractions exact, everything else in double precision."""

    names: Mapping[str, Number]

    def number(self, term: Num) -> Number:
        return term.value

    def name(self, term: Name) -> Number:
        if term.name not in self.names:
            raise unknown(term, self.names)
        return _bounded(self.names[term.name], term)

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
    return ExpressionError(f"unknown name `{term.name}`", term.start, term.end, help, "E402", near or "")


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
CALLS: Mapping[str, Callable[..., Number]] = {
    "min": min,
    "max": max,
    "sqrt": _root,
    "ceil": math.ceil,
    "floor": math.floor,
    "ceil_to": lambda value, multiple: math.ceil(_divided(value, multiple)) * multiple,
}


def resolve_dims(
    dims: Mapping[str, Expression | Number],
) -> tuple[dict[str, Number], list[tuple[str, ExpressionError]]]:
    """Return the value of every dim that has one, and the errors, each with the dim in whose text it stands.

    A dim that needs a broken one is silent; a cycle is told once, at the first of its dims.
    """
    values: dict[str, Number] = {}
    errors: list[tuple[str, ExpressionError]] = []
    broken: set[str] = set()
    for first in dims:
        path: list[tuple[str, Iterator[str]]] = [(first, _needs(dims, first))]
        open_ = {first: 0}
        while path and first not in values and first not in broken:
            name, needs = path[-1]
            need = next(needs, None)
            if need is None:
                path.pop()
                del open_[name]
                _settle(name, dims, values, broken, errors)
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
    dims: Mapping[str, Expression | Number],
    values: dict[str, Number],
    broken: set[str],
    errors: list[tuple[str, ExpressionError]],
) -> None:
    """Give a dim its value, now that those that it needs have theirs."""
    dim = dims[name]
    if name in broken:
        return
    if not isinstance(dim, Expression):
        values[name] = dim
        return
    if dim.names & broken:
        broken.add(name)
        return
    try:
        values[name] = dim.fold(Dims(values, frozenset(dims)))
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
    message = f"`{cycle[0]}` needs itself: {' → '.join(cycle)}" if len(cycle) > 2 else f"`{cycle[0]}` needs itself"
    error = ExpressionError(message, 0, len(text), "give one of them a number", "E406")
    error.cycle = cycle
    return error
